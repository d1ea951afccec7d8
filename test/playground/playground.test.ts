import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { launchChromium, noChromium } from '../support/browser.ts';
import { as, build, call, procedures } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { NotifyProcess } from '../support/process.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import type { PlaygroundPage } from './page.ts';
import { openTab } from './tab.ts';

describe('the playground in a browser', { skip: noChromium }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  const tab = (t: TestContext, options: BrowserContextOptions = {}) => openTab(t, browser, options);

  /** A server process. @returns where it is, and a call of Notify */
  async function start(t: TestContext, ports: Readonly<Record<string, string>> = {}) {
    const notify = new NotifyProcess(t, ports);
    const url = await notify.listening();
    let count = 0;
    const send = async (user: string, title: string) => {
      count += 1;
      const { status } = await call(url.internal, procedures.notify, {
        tenantId: 'demo',
        notificationId: `n-${count}-${title}`,
        userIds: [user],
        title,
      });
      assert.equal(status, 200);
    };
    const portOf = (base: string) => new URL(base).port;
    return {
      notify,
      url,
      send,
      /** The environment that starts another one in its place. */
      samePorts: {
        NOTIFY_CLIENT_PORT: portOf(url.client),
        NOTIFY_INTERNAL_PORT: portOf(url.internal),
        NOTIFY_METRICS_PORT: portOf(url.ops),
      },
    };
  }

  const titles = async (page: PlaygroundPage) => (await page.items()).map(({ title }) => title);

  it('sends, shows what arrives, marks it read, and is the same after a reload', async (t) => {
    const { url } = await start(t);
    const alice = await tab(t);
    await alice.open(url.client);
    await alice.waitLive();
    assert.deepEqual(await alice.items(), []);

    const answer = await alice.send({
      title: 'Build 7 is live',
      body: 'All checks passed.',
      type: 'deploy.finished',
    });
    assert.deepEqual([answer.state, answer.delivered, answer.pending], ['ok', 1, 0]);
    await alice.waitForItem('Build 7 is live', { unread: true });
    await alice.waitForUnread(1);
    const again = await alice.sendAgain();
    assert.deepEqual([again.state, again.delivered], ['repeat', 1]);
    await alice.send({ title: 'Second' });
    await alice.waitForUnread(2);
    assert.deepEqual(await titles(alice), ['Second', 'Build 7 is live']);

    await alice.markRead('Build 7 is live');
    await alice.waitForUnread(1);
    await alice.page.reload();
    await alice.waitLive();
    const [second, first] = await alice.items();
    assert.equal((await alice.items()).length, 2);
    assert.deepEqual([second?.title, second?.unread], ['Second', true]);
    assert.deepEqual(
      [first?.title, first?.unread, first?.body],
      ['Build 7 is live', false, 'All checks passed.'],
    );
    await alice.waitForUnread(1);
  });

  it('shows in one tab what another tab of the user does, and nothing of other users', async (t) => {
    const { url } = await start(t);
    const [one, two, bob] = await Promise.all([tab(t), tab(t), tab(t)]);
    await Promise.all([one.open(url.client), two.open(url.client), bob.open(url.client, { user: 'bob' })]);
    await Promise.all([one.waitLive(), two.waitLive(), bob.waitLive()]);
    const { delivered } = await one.send({ title: 'for both', to: ['alice', 'bob'] });
    assert.equal(delivered, 2);
    await one.send({ title: 'for alice', to: ['alice'] });
    await Promise.all([two.waitForUnread(2), bob.waitForUnread(1)]);

    await one.markRead('for both');
    await two.waitForItem('for both', { unread: false });
    await two.waitForUnread(1);
    await two.markUnread('for both');
    await one.waitForItem('for both', { unread: true });
    await one.archive('for alice');
    await two.waitForNoItem('for alice');
    await two.markAllRead();
    await one.waitForUnread(0);
    assert.deepEqual(await bob.items().then((items) => items.map(({ title, unread }) => [title, unread])), [
      ['for both', true],
    ]);
  });

  it('misses nothing and shows nothing twice when the network breaks', async (t) => {
    const { url, send } = await start(t);
    const proxy = await TcpProxy.listen(t, Number(new URL(url.client).port));
    const alice = await tab(t);
    await alice.open(proxy.url);
    await alice.waitLive();
    const session = await alice.sessionId();
    await send('alice', 'before');
    await alice.waitForItem('before');

    // the cable is pulled, and what is sent meanwhile waits
    proxy.stall();
    proxy.cut();
    await alice.waitForState('reconnecting');
    await send('alice', 'meanwhile 1');
    await send('alice', 'meanwhile 2');
    const [before] = await alice.items();
    await call(url.client, procedures.ackNotification, { id: before?.id }, as('alice'));
    proxy.resume();
    await alice.waitForItem('meanwhile 2');
    await alice.waitForItem('before', { unread: false });
    await alice.waitLive();
    await send('alice', 'after');
    await alice.waitForItem('after');
    assert.notEqual(await alice.sessionId(), session);
    assert.deepEqual(await titles(alice), ['after', 'meanwhile 2', 'meanwhile 1', 'before']);
    await alice.waitForUnread(3);
    const sent = (await alice.log('notification')).map(({ detail }) => detail);
    assert.deepEqual(
      sent,
      ['after', 'meanwhile 2', 'meanwhile 1', 'before'],
      'each came once over the stream',
    );

    // held up without a word: nothing is lost either
    proxy.stall();
    await send('alice', 'held up');
    await send('alice', 'held up too');
    assert.equal((await titles(alice))[0], 'after');
    proxy.resume();
    await alice.waitForItem('held up too');
    await alice.waitForUnread(5);
    assert.deepEqual((await titles(alice)).slice(0, 3), ['held up too', 'held up', 'after']);
    assert.deepEqual(await alice.log('reset'), []);
  });

  it('recovers by itself from a server that was killed and has forgotten everything', async (t) => {
    const first = await start(t);
    const alice = await tab(t);
    await alice.open(first.url.client);
    await alice.waitLive();
    await first.send('alice', 'forgotten');
    await alice.waitForUnread(1);
    first.notify.kill('SIGKILL');
    await first.notify.exited;
    await alice.waitForState('reconnecting');
    const second = await start(t, first.samePorts);
    await alice.waitForLog('reset');
    await alice.waitLive();
    await alice.waitForNoItem('forgotten');
    await alice.waitForUnread(0);
    await second.send('alice', 'new');
    await alice.waitForItem('new', { unread: true });
    await alice.waitForUnread(1);
    assert.deepEqual(await titles(alice), ['new']);
    await eventually('no word of trouble is left', async () => (await alice.bannerText()) === '');
  });

  it('is live again without a reload after a graceful restart', async (t) => {
    const first = await start(t);
    const alice = await tab(t);
    await alice.open(first.url.client);
    await alice.waitLive();
    const session = await alice.sessionId();
    first.notify.kill('SIGTERM');
    await alice.waitForState('reconnecting');
    assert.equal(await alice.statusText(), 'Reconnecting: shutdown');
    assert.deepEqual(await first.notify.exited, { code: 0, signal: null });
    const second = await start(t, first.samePorts);
    await alice.waitLive();
    await alice.waitForLog('end', 'shutdown');
    assert.notEqual(await alice.sessionId(), session);
    await second.send('alice', 'after the restart');
    await alice.waitForItem('after the restart');
    const { delivered } = await alice.send({ title: 'from the page' });
    assert.equal(delivered, 1);
    await alice.waitForUnread(2);
  });

  it('shows hostile texts as texts, and opens no dangerous link', async (t) => {
    const { url } = await start(t);
    const alice = await tab(t, { viewport: { width: 375, height: 800 } });
    const requests: string[] = [];
    alice.page.on('request', (request) => requests.push(request.url()));
    alice.page.on('dialog', (dialog) => assert.fail(`a dialog: ${dialog.message()}`));
    await alice.open(url.client);
    await alice.waitLive();
    const hostile = [
      '<img src=x onerror="alert(1)">',
      '<script>alert(1)</script>',
      '</li></ul><h1>out</h1>',
      '"\'`{{alert(1)}}',
      'a\u202eb\u2028c',
      'w'.repeat(500),
    ];
    for (const [i, text] of hostile.entries()) {
      await alice.send({ title: text, body: text });
      await alice.waitForUnread(i + 1);
    }
    const refused = await alice.send({ title: 'a link', actionUrl: 'javascript:alert(1)' });
    assert.deepEqual([refused.state, refused.code], ['error', 'invalid_argument']);
    assert.match(refused.message, /^action_url: /);
    const shown = await alice.items();
    assert.deepEqual(
      shown.map(({ title }) => title),
      hostile.toReversed(),
    );
    assert.deepEqual(
      shown.map(({ body }) => body),
      hostile.toReversed(),
    );
    for (const tag of ['img', 'script', 'h1', 'a'])
      assert.equal(await alice.at('list').locator(tag).count(), 0, tag);
    assert.deepEqual(
      requests.filter((request) => !request.startsWith(url.client) && !request.startsWith('data:')),
      [],
    );

    const widths = await alice.page.evaluate<[number, number]>(
      '[document.scrollingElement.scrollWidth, innerWidth]',
    );
    assert.deepEqual(widths, [375, 375], 'a phone does not scroll sideways');
  });

  it('loads again by itself where a part of it does not load, and says so where it never does, without any storage', async (t) => {
    const { url } = await start(t);
    const blockStorage = (page: PlaygroundPage) =>
      page.page.addInitScript(() => {
        for (const name of ['localStorage', 'sessionStorage'])
          Object.defineProperty(globalThis, name, {
            get() {
              throw new DOMException('The document is sandboxed', 'SecurityError');
            },
          });
      });
    const alice = await tab(t);
    await blockStorage(alice);
    let failures = 0;
    await alice.page.route('**/stream/events.js', (route) => {
      failures += 1;
      return failures === 1 ? route.abort('connectionreset') : route.continue();
    });
    await alice.open(url.client);
    await alice.waitLive();
    assert.equal(failures, 2);

    const bob = await tab(t);
    await blockStorage(bob);
    await bob.page.route('**/stream/events.js', (route) => route.abort('connectionreset'));
    await bob.open(url.client, { user: 'bob' });
    await bob.at('banner').waitFor();
    assert.equal(await bob.bannerText(), 'A part of this page could not be loaded.');
    await bob.page.unroute('**/stream/events.js');
    await bob.at('try-now').click();
    await bob.waitLive();
  });

  it('asks for its stream again where nothing answers', async (t) => {
    const { url } = await start(t);
    const alice = await tab(t);
    await alice.page.clock.install();
    let asked = 0;
    const first = Promise.withResolvers<void>();
    await alice.page.route('**/v1/events?*', (route) => {
      asked += 1;
      if (asked > 1) return route.continue();
      first.resolve();
      return undefined;
    });
    await alice.open(url.client);
    await first.promise;
    await alice.page.clock.runFor(12_000);
    await alice.waitLive();
    assert.match((await alice.log()).map(({ detail }) => detail).join(), /no answer, trying again/);
  });
});

describe('the playground', () => {
  it('is there in dev mode only', async (t) => {
    const production = {
      NOTIFY_AUTH_DEV_MODE: 'false',
      NOTIFY_AUTH_JWT_SECRET: 'a secret of more than thirty-two bytes',
      NOTIFY_INTERNAL_TOKEN: 'internal-token-of-the-tests',
    };
    for (const [env, status] of [
      [{}, 200],
      [production, 404],
    ] as const) {
      const service = await build(t, env);
      const page = await fetch(`${service.url.client}/`);
      assert.equal(page.status, status);
      await page.text();
      for (const name of ['page.css', 'page.js', 'inbox/list.js', 'push-worker.js'])
        assert.equal((await fetch(`${service.url.client}/playground/${name}`)).status, status, name);
      const sent = await call(service.url.client, 'playground/notify', {
        tenantId: 'demo',
        notificationId: 'x',
        userIds: ['alice'],
      });
      assert.equal(sent.status, status);
      assert.equal((await fetch(`${service.url.internal}/`)).status, 404);
      assert.equal((await fetch(`${service.url.ops}/`)).status, 404);
    }
  });

  it('shows no token, and allows no script but its own', async (t) => {
    const service = await build(t, { NOTIFY_INTERNAL_TOKEN: 'internal-token-of-the-tests' });
    const pages = await Promise.all([1, 2].map(() => fetch(`${service.url.client}/?user=%3C/script%3E`)));
    const nonces = pages.map(
      (page) => /script-src 'nonce-([^']+)'/.exec(page.headers.get('content-security-policy') ?? '')?.[1],
    );
    assert.ok(nonces[0] && nonces[1] && nonces[0] !== nonces[1]);
    const text = (await pages[0]?.text()) ?? '';
    assert.ok(!text.includes('internal-token-of-the-tests'));
    for (const [tag] of text.matchAll(/<(script|style|link rel="stylesheet")[^>]*>/g))
      assert.ok(tag.includes(`nonce="${nonces[0]}"`), tag);
    assert.doesNotMatch(text, /__[A-Z]+__(?!\s*=)/);
  });

  it('keeps none of its files in a cache, and lets each be only what it is', async (t) => {
    const { url } = await build(t);
    const text = await (await fetch(`${url.client}/`)).text();
    const named = [...text.matchAll(/(?:src|href)="(playground\/[^"]+)"/g)].map(([, name]) => name);
    assert.deepEqual(named, ['playground/page.css', 'playground/page.js']);
    for (const [name, type] of [
      ['page.css', 'text/css; charset=utf-8'],
      ['page.js', 'text/javascript; charset=utf-8'],
      ['inbox/list.js', 'text/javascript; charset=utf-8'],
      ['push-worker.js', 'text/javascript; charset=utf-8'],
    ] as const) {
      const { headers } = await fetch(`${url.client}/playground/${name}`);
      const said = ['content-type', 'cache-control', 'x-content-type-options', 'content-security-policy'];
      assert.deepEqual(
        said.map((header) => headers.get(header)),
        [type, 'no-store', 'nosniff', "default-src 'none'"],
        name,
      );
    }
    for (const path of ['page.html', 'nothing.js', 'inbox', 'inbox/', '..%2findex.ts', '%2e%2e/index.ts'])
      assert.equal((await fetch(`${url.client}/playground/${path}`)).status, 404, path);
  });

  it('takes a notification as JSON alone: a foreign page may post other types without asking', async (t) => {
    const service = await build(t);
    const notification = JSON.stringify({ tenantId: 'demo', notificationId: 'x', userIds: ['alice'] });
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      '',
    ]) {
      const answer = await fetch(`${service.url.client}/playground/notify`, {
        method: 'POST',
        headers: type === '' ? {} : { 'content-type': type },
        body: new Blob([notification]),
      });
      assert.equal(answer.status, 400, type);
      assert.equal(((await answer.json()) as { code: string }).code, 'invalid_argument', type);
    }
    const empty = await fetch(`${service.url.client}/playground/notify`, { method: 'POST' });
    assert.equal(empty.status, 400);
    const wrong = await call(service.url.client, 'playground/notify', { tenantId: 'demo' });
    assert.equal(wrong.status, 400);
    assert.match(String(wrong.body.message), /notification_id: .*user_ids: /);
  });
});
