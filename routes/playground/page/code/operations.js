import { methods } from '../calls.js';
import { boot } from '../dom.js';
import { token } from '../identity.js';
import { pageSize, shownItems } from '../inbox/inbox.js';
import { requestFromForm } from '../send/form.js';
import { stream } from '../stream/state.js';
import { clientUrl, internalUrl } from './addresses.js';
import { lastBody } from './last-calls.js';

const nowhere = '00000000-0000-0000-0000-000000000000';

const idOrNewest = (operation) => lastBody(operation) ?? { id: shownItems()[0]?.id ?? nowhere };

/** The calls that are shown in code. A body is that of the last such call, or one that would do something. */
export const operations = {
  notify: {
    label: 'Send this notification',
    method: methods.notify,
    isInternal: true,
    body: requestFromForm,
  },
  stream: { label: 'Follow the live stream' },
  list: {
    label: 'List the inbox',
    method: methods.list,
    body: () => lastBody('list') ?? { limit: pageSize },
  },
  read: { label: 'Mark read', method: methods.read, body: () => idOrNewest('read') },
  unread: { label: 'Mark unread', method: methods.unread, body: () => idOrNewest('unread') },
  archive: { label: 'Archive', method: methods.archive, body: () => idOrNewest('archive') },
  unarchive: {
    label: 'Take out of the archive',
    method: methods.unarchive,
    body: () => idOrNewest('unarchive'),
  },
  delete: { label: 'Delete', method: methods.delete, body: () => idOrNewest('delete') },
  readAll: { label: 'Mark all read', method: methods.readAll, body: () => ({}) },
  hint: {
    label: 'Acknowledge a data change',
    method: methods.hint,
    body: () => lastBody('hint') ?? { idempotencyKey: 'key', sessionId: stream.sessionId || nowhere },
  },
};

/** What a call consists of, in whatever language. */
export function describeCall(name) {
  const { method, isInternal, body } = operations[name];
  return {
    url: `${isInternal ? internalUrl : clientUrl}/${method}`,
    body: body(),
    bearer: isInternal ? undefined : `Bearer ${token}`,
    needsInternalToken: isInternal && Boolean(boot.internalToken),
  };
}
