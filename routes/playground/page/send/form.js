import { byId, entered } from '../dom.js';
import { tenant } from '../identity.js';
import { addWays } from './channels.js';

/** Puts an id of its own into the form. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  byId('notification-id').value =
    `play-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** The form as a NotifyRequest. What is empty is left out. */
export function requestFromForm() {
  const request = {
    tenantId: tenant,
    notificationId: entered('notification-id').trim(),
    userIds: entered('to')
      .split(',')
      .map((id) => id.trim())
      .filter(Boolean),
    title: entered('title'),
    body: entered('body'),
  };
  const type = entered('type').trim();
  const actionUrl = entered('action').trim();
  if (type) request.type = type;
  if (actionUrl) request.actionUrl = actionUrl;
  if (entered('urgency')) request.urgency = entered('urgency');
  addWays(request);
  request.returnResults = true;
  return request;
}
