const workerFile = 'playground/push-worker.js';

/** Why there can be no push here; '' where there can. */
export function obstacle() {
  if (!isSecureContext)
    return `Browsers have web push at https: and on localhost only. Open http://localhost:${location.port} on the machine that runs notify.`;
  if (!('serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window))
    return 'This browser has no web push. (Safari on a phone has it once the page is on the home screen.)';
  if (Notification.permission === 'denied')
    return 'This browser lets this page show no notifications: allow them in its settings for this site, and reload. A private window may never have them.';
  return '';
}

/** The worker, once it can take messages. */
async function startWorker() {
  const registration = await navigator.serviceWorker.register(workerFile);
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  if (worker.state !== 'activated')
    await new Promise((resolve, reject) => {
      worker.addEventListener('statechange', () => {
        if (worker.state === 'activated') resolve();
        if (worker.state === 'redundant') reject(new Error('the service worker was not installed'));
      });
    });
  return registration;
}

export async function currentSubscription() {
  const registration = await navigator.serviceWorker.getRegistration(workerFile);
  return (await registration?.pushManager.getSubscription()) ?? undefined;
}

const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

/** @param key the public VAPID key; a subscription to another one is worth nothing any more, and goes first */
export async function subscribeTo(key) {
  const { pushManager } = await startWorker();
  const old = await pushManager.getSubscription();
  const oldKey = old?.options?.applicationServerKey;
  if (oldKey && base64url(oldKey) !== key) await old.unsubscribe();
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}
