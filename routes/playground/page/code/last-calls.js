import { byId } from '../dom.js';

/** The bodies of the last calls, by operation. */
const bodies = {};

export const lastBody = (operation) => bodies[operation];

/** Keeps the call that was made last. */
export function keep(operation, body) {
  bodies[operation] = body;
}

/** Shows in code what the chosen call would be now. */
export function refreshCode() {
  byId('call').dispatchEvent(new Event('change'));
}

/** Chooses the call that is shown in code. */
export function showCall(operation) {
  byId('call').value = operation;
  refreshCode();
}

/** Keeps the call that was made last, and shows it. */
export function remember(operation, body) {
  keep(operation, body);
  showCall(operation);
}
