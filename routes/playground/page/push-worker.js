/** Shows what the web push provider sends: {title, body, data}. It answers no requests of the page. */

self.addEventListener('install', () => self.skipWaiting());

self.addEventListener('push', (event) => {
  const { title, body, data } = messageOf(event.data);
  event.waitUntil(self.registration.showNotification(title || 'Notification', { body, data }));
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.url));
});

/** Browsers end a subscription whose messages show nothing: so something is shown whatever came. */
function messageOf(data) {
  try {
    return data.json();
  } catch {
    return { title: '', body: '', data: {} };
  }
}

/** Opens a notification's URL; without one the playground, in the tab that has it if there is one. */
async function open(url) {
  const home = new URL('..', self.registration.scope);
  // no javascript: or data:, whatever the producer sent
  if (/^https?:\/\//i.test(url)) return self.clients.openWindow(url);
  const tabs = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const tab = tabs.find((one) => one.url.split(/[?#]/, 1)[0] === home.href);
  return tab === undefined ? self.clients.openWindow(home.href) : tab.focus();
}
