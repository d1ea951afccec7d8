/**
 * The playground's subscription to web push. Chromium cannot reach a push service here: what a browser would get from one is a
 * subscription at a server of the test, and what that server is sent goes on to the browser by its DevTools.
 */
import assert from 'node:assert/strict';
import { createECDH, randomUUID } from 'node:crypto';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, BrowserContext } from 'playwright-core';
import { launchChromium, noChromium } from '../support/browser.ts';
import { as, build, call } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { ScriptedServer } from '../support/scripted-server.ts';
import { subscriber } from '../support/web-push.ts';
import type { PlaygroundPage } from './page.ts';
import { openTab } from './tab.ts';

const pair = createECDH('prime256v1');
pair.generateKeys();
const publicKey = pair.getPublicKey('base64url');
const vapid = {
  NOTIFY_WEBPUSH_PROVIDER: 'vapid',
  NOTIFY_WEBPUSH_VAPID_PUBLIC: publicKey,
  NOTIFY_WEBPUSH_VAPID_PRIVATE: Buffer.from(pair.getPrivateKey('hex').padStart(64, '0'), 'hex').toString(
    'base64url',
  ),
  NOTIFY_WEBPUSH_CONTACT_EMAIL: 'ops@example.org',
  NOTIFY_EGRESS_ALLOW: '127.0.0.1/32',
  NOTIFY_EGRESS_ALLOW_HTTP: 'true',
};

/** What a push service does in a browser: it hands out one subscription, to the key that it is asked with. */
function playPushManager({ token }: { token: string }): void {
  const page = globalThis as unknown as {
    PushManager: { prototype: object };
    localStorage: { getItem(key: string): string | null; setItem(key: string, value: string): void };
  };
  const kept = 'test-push-service';
  const current = () => {
    const key = page.localStorage.getItem(kept);
    if (!key) return null;
    return {
      endpoint: JSON.parse(token).endpoint,
      options: {},
      toJSON: () => JSON.parse(token),
      unsubscribe: async () => page.localStorage.setItem(kept, ''),
    };
  };
  Object.assign(page.PushManager.prototype, {
    getSubscription: async () => current(),
    subscribe: async ({ applicationServerKey }: { applicationServerKey: string }) => {
      page.localStorage.setItem(kept, applicationServerKey);
      return current();
    },
  });
}

describe('push to a browser from the playground', { skip: noChromium }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  async function open(t: TestContext, env: Record<string, string> = vapid) {
    const pushService = await ScriptedServer.listen(t);
    pushService.play({ status: 201, headers: { location: 'https://push.example.org/m/1' } });
    const { url } = await build(t, env);
    const tab = await openTab(t, browser);
    const context = tab.page.context();
    const path = `/s/${randomUUID()}`;
    const device = subscriber(`${pushService.url}${path}`);
    return {
      /** What came for the browser: whoever had the port before us may still be asked for by others. */
      pushes: () => pushService.received.filter((request) => request.path === path),
      device,
      tab,
      context,
      allow: () => context.grantPermissions(['notifications'], { origin: url.client }),
      playPushService: () => tab.page.addInitScript(playPushManager, { token: device.token }),
      start: async (user = 'alice') => {
        await tab.open(url.client, { user });
        await tab.waitLive();
      },
      origin: url.client,
    };
  }

  const waitForPush = (tab: PlaygroundPage, state: string) =>
    tab.page.locator(`[data-testid="push"][data-state="${state}"]`).waitFor();

  /** Hands the worker of the page a message, as a browser does when its push service has one. */
  async function deliver(context: BrowserContext, tab: PlaygroundPage, origin: string, data: string) {
    const devTools = await context.newCDPSession(tab.page);
    const { promise: registrationId, resolve } = Promise.withResolvers<string>();
    devTools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const [first] = registrations;
      if (first !== undefined) resolve(first.registrationId);
    });
    await devTools.send('ServiceWorker.enable');
    await devTools.send('ServiceWorker.deliverPushMessage', {
      origin,
      registrationId: await registrationId,
      data,
    });
  }

  /** The notifications that the browser shows for the page. */
  const shown = (tab: PlaygroundPage) =>
    tab.page.evaluate(`(async () => {
      const registration = await navigator.serviceWorker.getRegistration('playground/push-worker.js');
      const shown = await registration.getNotifications();
      return shown.map(({ title, body, data }) => ({ title, body, data }));
    })()`) as Promise<{ title: string; body: string; data: unknown }[]>;

  const waitForShown = (tab: PlaygroundPage, count: number) =>
    eventually('the notifications', async () => {
      const all = await shown(tab);
      return all.length === count && all;
    });

  it('subscribes, and shows what the service sends, with the page’s own worker', async (t) => {
    const { tab, context, allow, playPushService, start, pushes, device, origin } = await open(t);
    await allow();
    await playPushService();
    await start();
    await waitForPush(tab, 'off');
    await tab.at('push-button').click();
    await waitForPush(tab, 'on');
    assert.match((await tab.at('push-text').textContent()) ?? '', /for alice .* carried by 127\.0\.0\.1/);

    await tab.chooseWays({ web_push: '' });
    const { delivered } = await tab.send({
      title: 'Your parcel 📦',
      body: 'مرحبا, it is on its way',
      actionUrl: 'https://shop.example.org/42',
    });
    assert.equal(delivered, 1);
    await deliver(context, tab, origin, device.decrypt(pushes()[0]?.bytes ?? assert.fail()));
    assert.deepEqual(await waitForShown(tab, 1), [
      {
        title: 'Your parcel 📦',
        body: 'مرحبا, it is on its way',
        data: { url: 'https://shop.example.org/42' },
      },
    ]);
    assert.equal(
      await tab.page.evaluate("localStorage.getItem('test-push-service')"),
      publicKey,
      'subscribed to the key of the service',
    );
  });

  it('opens the URL of a notification that is clicked, and the playground where it has none', async (t) => {
    const { tab, context, allow, playPushService, start, origin } = await open(t);
    await allow();
    await playPushService();
    await start();
    await tab.at('push-button').click();
    await waitForPush(tab, 'on');
    for (const data of [{ url: 'https://shop.example.org/42' }, { url: 'javascript:alert(1)' }, {}])
      await deliver(context, tab, origin, JSON.stringify({ title: 'click me', body: '', data }));
    await waitForShown(tab, 3);
    const [worker] = context.serviceWorkers();
    // a click that no hand made may open nothing: what it would open is looked at
    const opened = await worker?.evaluate(`(async () => {
      const opened = [];
      Object.assign(self.clients, {
        openWindow: async (url) => opened.push(url),
        matchAll: async () => [{ url: self.origin + '/?user=alice', focus: () => opened.push('the tab') }],
      });
      const all = await self.registration.getNotifications();
      for (const notification of all) {
        const click = new NotificationEvent('notificationclick', { notification });
        self.dispatchEvent(click);
        await new Promise((resolve) => setTimeout(resolve));
      }
      return opened;
    })()`);
    assert.deepEqual((opened as string[]).sort(), ['https://shop.example.org/42', 'the tab', 'the tab']);
    assert.deepEqual(await shown(tab), [], 'they are closed');
  });

  it('ends, and then nothing goes to the browser', async (t) => {
    const { tab, allow, playPushService, start, pushes } = await open(t);
    await allow();
    await playPushService();
    await start();
    await tab.at('push-button').click();
    await waitForPush(tab, 'on');
    await tab.page.reload();
    await waitForPush(tab, 'on');
    await tab.at('push-button').click();
    await waitForPush(tab, 'off');
    await tab.chooseWays({ web_push: '' });
    const { delivered, pending } = await tab.send({ title: 'to nobody' });
    assert.deepEqual([delivered, pending], [0, 1]);
    assert.equal(pushes().length, 0);
  });

  it('is registered again on the next visit: a service that keeps all in memory forgets it', async (t) => {
    const { tab, allow, playPushService, start, pushes, origin } = await open(t);
    await allow();
    await playPushService();
    await start();
    await tab.at('push-button').click();
    await waitForPush(tab, 'on');
    const deviceId = await tab.page.evaluate("JSON.parse(localStorage['notify-playground-push']).deviceId");
    const forgotten = await call(
      origin,
      'notify.v1.InboxService/UnregisterPushToken',
      { deviceType: 'DEVICE_TYPE_BROWSER', deviceId },
      as('alice'),
    );
    assert.equal(forgotten.status, 200);
    await tab.page.reload();
    await waitForPush(tab, 'on');
    await tab.chooseWays({ web_push: '' });
    assert.equal((await tab.send({ title: 'still here' })).delivered, 1);
    assert.equal(pushes().length, 1);
  });

  it('belongs to one user: another who subscribes takes it', async (t) => {
    const { tab, allow, playPushService, start, pushes } = await open(t);
    await allow();
    await playPushService();
    await start('alice');
    await tab.at('push-button').click();
    await waitForPush(tab, 'on');
    await start('bob');
    await waitForPush(tab, 'other');
    assert.match((await tab.at('push-text').textContent()) ?? '', /messages of alice in demo/);
    await tab.at('push-button').click();
    await waitForPush(tab, 'on');
    await tab.chooseWays({ web_push: '' });
    const { delivered, pending } = await tab.send({ title: 'for one of them', to: ['alice', 'bob'] });
    assert.deepEqual([delivered, pending], [1, 1]);
    assert.equal(pushes().length, 1);
  });

  it('says what is in the way: a browser without a push service, and one that allows no notifications', async (t) => {
    const { tab, allow, start, context } = await open(t);
    await allow();
    await start();
    await waitForPush(tab, 'off');
    await tab.at('push-button').click();
    await tab.at('note').waitFor();
    assert.match(await tab.noteText(), /could not subscribe at its push service/);
    await waitForPush(tab, 'off');

    await context.clearPermissions();
    await tab.page.addInitScript(
      "Object.defineProperty(Notification, 'permission', { get: () => 'denied' })",
    );
    await tab.page.reload();
    await waitForPush(tab, 'impossible');
    assert.match((await tab.at('push-text').textContent()) ?? '', /allow them in its settings for this site/);
    assert.equal(await tab.at('push-button').isVisible(), false);
  });

  it('is not offered where the service has no web push', async (t) => {
    const { tab, start } = await open(t, { NOTIFY_EMAIL_PROVIDER: 'test' });
    await start();
    assert.equal(await tab.at('push').isVisible(), false);
  });
});
