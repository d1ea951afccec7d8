import { call, clientService, describe, inboxService } from '../calls.js';
import { boot, byId, setText } from '../dom.js';
import { tenant, user } from '../identity.js';
import { announce, showNote } from '../telling.js';
import { deviceId, keep, remembered } from './remembered.js';
import { currentSubscription, obstacle, subscribeTo } from './subscription.js';

function show(state, text, button) {
  const panel = byId('push');
  panel.dataset.state = state;
  if (byId('push-text').textContent !== text) announce(text);
  setText(byId('push-text'), text);
  byId('push-button').hidden = button === undefined;
  setText(byId('push-button'), button ?? '');
}

async function render() {
  const problem = obstacle();
  if (problem) return show('impossible', problem);
  const subscription = await currentSubscription();
  const { user: owner, tenant: where } = remembered();
  if (subscription === undefined || owner === undefined)
    return show(
      'off',
      'Messages can come to this browser also while this page is closed.',
      'Subscribe this browser',
    );
  if (owner !== user || where !== tenant)
    return show(
      'other',
      `This browser gets the messages of ${owner} in ${where}. A subscription belongs to one user: subscribing moves it.`,
      `Subscribe as ${user}`,
    );
  show(
    'on',
    `Web push for ${user} comes to this browser, carried by ${new URL(subscription.endpoint).host}. Send by web push with an empty address.`,
    'Unsubscribe',
  );
}

async function subscribe() {
  const permission = await Notification.requestPermission();
  if (permission !== 'granted') return;
  const { vapidPublicKey } = await call(`${inboxService}/GetPushConfig`, {});
  const subscription = await subscribeTo(vapidPublicKey);
  await call(`${clientService}/RegisterPushToken`, {
    deviceType: 'DEVICE_TYPE_BROWSER',
    deviceId: deviceId(),
    token: JSON.stringify(subscription),
  });
  keep({ user, tenant });
}

async function unsubscribe() {
  await call(`${inboxService}/UnregisterPushToken`, {
    deviceType: 'DEVICE_TYPE_BROWSER',
    deviceId: deviceId(),
  });
  keep({ user: undefined, tenant: undefined });
  await (await currentSubscription())?.unsubscribe();
}

/** What a person can do about a failure. */
function wordsOf(error) {
  if (error.code !== undefined && typeof error.code === 'string') return describe(error);
  if (error.name === 'AbortError')
    return `The browser could not subscribe at its push service (${error.message}). It needs a way to the internet; a private window has none, and some browsers ship without one.`;
  return `The browser refused: ${error.message}`;
}

async function press() {
  const button = byId('push-button');
  button.disabled = true;
  try {
    await (byId('push').dataset.state === 'on' ? unsubscribe() : subscribe());
  } catch (error) {
    showNote(wordsOf(error));
  } finally {
    button.disabled = false;
    await render();
  }
}

/** Registers again what the user had: a service that keeps all in memory has forgotten it, or it has other keys now. */
async function renew() {
  const { user: owner, tenant: where } = remembered();
  if (obstacle() || owner !== user || where !== tenant || Notification.permission !== 'granted') return;
  await subscribe().catch((error) => showNote(wordsOf(error)));
}

/** Offers push to this browser, where the service has web push. */
export function setUpPush() {
  if (boot.providers.web_push !== 'vapid') return;
  byId('push').hidden = false;
  byId('push-button').onclick = press;
  renew()
    .then(render)
    .catch((error) => show('impossible', wordsOf(error)));
}
