import { byId } from './dom.js';
import { showNote } from './telling.js';

const query = new URLSearchParams(location.search);
export const user = query.get('user')?.trim() || 'alice';
export const tenant = query.get('tenant')?.trim() || 'demo';
export const token = `dev:${user}:${tenant}`;

/** Why a name cannot be part of a dev token; '' when it can. */
export const nameProblem = (what, name) =>
  /^[\x21-\x39\x3b-\x7e]+$/.test(name)
    ? ''
    : `The ${what} needs plain ASCII characters without ":" and spaces.`;

export const identityProblem = nameProblem('user', user) || nameProblem('tenant', tenant);

export const pageFor = (someone, where = tenant) =>
  `?${new URLSearchParams({ user: someone, tenant: where })}`;

export function setUpIdentity() {
  byId('user').value = user;
  byId('tenant').value = tenant;
  // the address names both, so that a reload, a bookmark and a second tab keep them
  if (query.get('user') !== user || query.get('tenant') !== tenant)
    history.replaceState(null, '', pageFor(user));
  byId('identity').addEventListener('submit', (event) => {
    event.preventDefault();
    for (const what of ['user', 'tenant']) {
      const field = byId(what);
      field.value = field.value.trim();
      const problem = nameProblem(what, field.value);
      field.setAttribute('aria-invalid', String(problem !== ''));
      if (problem === '') continue;
      field.focus();
      showNote(problem);
      return;
    }
    location.assign(pageFor(byId('user').value, byId('tenant').value));
  });
  const other = user === 'bob' ? 'alice' : 'bob';
  byId('other-name').textContent = other;
  byId('other-user').href = pageFor(other);
}
