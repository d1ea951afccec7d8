import { clientService } from '../calls.js';
import { token } from '../identity.js';
import { clientUrl } from './addresses.js';
import { inJs } from './literals.js';

const eventSourceCode = () => `// In a browser, on a page of the same origin
// (or one that NOTIFY_ALLOWED_ORIGINS names).
const token = ${inJs(token)};
const inbox = new Map();
let session = '';

const call = (method, body) =>
  fetch(${inJs(`${clientUrl}/`)} + method, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Authorization: 'Bearer ' + token,
    },
    body: JSON.stringify(body),
  }).then((response) => response.json());

async function refetch() {
  const page = await call(
    '${clientService}/GetNotifications',
    { limit: 20 },
  );
  inbox.clear();
  for (const item of page.notifications) inbox.set(item.id, item);
  console.log('unread', page.unreadCount, [...inbox.values()]);
}

// It reconnects by itself and resumes after the last event it saw.
const events = new EventSource(
  ${inJs(`${clientUrl}/v1/events?access_token=`)} + encodeURIComponent(token),
);
const on = (kind, handle) =>
  events.addEventListener(kind, (event) => handle(JSON.parse(event.data)));

on('heartbeat', ({ sessionId }) => { session = sessionId; });
on('notification', (item) => {
  inbox.set(item.id, item); // by id: an item may come twice
  console.log('new', item.title);
});
on('inbox', ({ unreadCount }) => {
  console.log('unread', unreadCount);
  refetch(); // or apply readIds, unreadIds, removedIds, updated
});
on('data_change', ({ idempotencyKey, subjectType, subjectRef }) => {
  console.log('changed', subjectType, subjectRef);
  call(
    '${clientService}/AckDataChange',
    { idempotencyKey, sessionId: session },
  );
});
on('reset', refetch);
on('end', ({ reason, reconnect }) => {
  console.log('ended', reason);
  if (!reconnect) events.close();
});
refetch();
`;

/** The stream as a browser follows it, which is all that there is to show. */
export const eventsource = { label: 'EventSource', stream: eventSourceCode, call: eventSourceCode };
