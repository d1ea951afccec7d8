/** Several tenants and their servers through the whole service, over real connections, on a clock that only the test moves. */
import assert from 'node:assert/strict';
import { createECDH } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { fakeAmbient } from '../../support/ambient.ts';
import { call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { type Reply, ScriptedServer } from '../../support/scripted-server.ts';
import { serve } from '../../support/serve.ts';
import { subscriber } from '../../support/web-push.ts';

/** A server that takes requests and answers none until it is told to. */
async function hanging(t: TestContext) {
  const server = await ScriptedServer.listen(t);
  const held: ((reply: Reply) => void)[] = [];
  server.answer = () => new Promise<Reply>((resolve) => held.push(resolve));
  return {
    url: server.url,
    received: server.received,
    /** What it has not answered. */
    held,
    /** Answers that, and from now on everything at once. */
    recover(): void {
      server.answer = () => ({ status: 201 });
      for (const answer of held.splice(0)) answer({ status: 201 });
    },
  };
}

const pair = createECDH('prime256v1');
pair.generateKeys();
const privateKey = Buffer.from(pair.getPrivateKey('hex').padStart(64, '0'), 'hex');
const egress = { NOTIFY_EGRESS_ALLOW: '127.0.0.0/8', NOTIFY_EGRESS_ALLOW_HTTP: 'true' };

/** A channel whose destinations are at many servers. */
interface Channel {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  destination(url: string, user: string): string;
}

const webhook: Channel = {
  name: 'webhook',
  env: { ...egress, NOTIFY_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 1).toString('base64')}` },
  destination: (url, user) => `${url}/hook/${user}`,
};
const webPush: Channel = {
  name: 'web_push',
  env: {
    ...egress,
    NOTIFY_WEBPUSH_PROVIDER: 'vapid',
    NOTIFY_WEBPUSH_VAPID_PUBLIC: pair.getPublicKey('base64url'),
    NOTIFY_WEBPUSH_VAPID_PRIVATE: privateKey.toString('base64url'),
  },
  destination: (url, user) => subscriber(`${url}/push/${user}`).token,
};
const chat = (env: Readonly<Record<string, string>>): Channel => ({
  name: 'chat',
  env: { ...egress, ...env },
  destination: (url, user) => `${url}/${user}`,
});

async function open(t: TestContext, { name, env, destination }: Channel, more = {}) {
  const ambient = fakeAmbient();
  const service = await serve(t, { ...env, ...more }, { ambient });
  let count = 0;
  /** @returns the answer's counts */
  const notify = async (tenantId: string, url: string, users: number, inMs = 0) => {
    count += 1;
    const userIds = Array.from({ length: users }, (_, i) => `user-${i}`);
    const byUser = (user: string) => ({ byChannel: { [name]: destination(url, user) } });
    const { status, body } = await call(service.url.internal, procedures.notify, {
      tenantId,
      notificationId: `n-${count}`,
      userIds,
      title: 'title',
      channels: [`DELIVERY_CHANNEL_${name.toUpperCase()}`],
      addresses: Object.fromEntries(userIds.map((user) => [user, byUser(user)])),
      ...(inMs > 0 && { sendAtMs: String(ambient.clock.now() + inMs) }),
    });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  return { ambient, notify, held: () => service.core.attempts.size };
}

describe('a server that hangs', () => {
  for (const [what, channel, due] of [
    ['200 webhooks', webhook, 200],
    ['1,000 webhooks', webhook, 1_000],
    ['200 pushes', webPush, 200],
    ['200 messages by Teams', chat({ NOTIFY_CHAT_PROVIDER: 'teams' }), 200],
    ['200 messages by Slack', chat({ NOTIFY_CHAT_PROVIDER: 'slack', NOTIFY_CHAT_TOKEN: 'a-token' }), 200],
  ] as const)
    it(`with ${what} due keeps no other tenant waiting, neither a call nor what is due`, async (t) => {
      const { ambient, notify, held } = await open(t, channel);
      const [dead, alive] = [await hanging(t), await hanging(t)];
      alive.recover();
      await notify('a', dead.url, due, 1_000);
      await ambient.clock.advance(1_000);
      await eventually('the first requests', () => dead.held.length === 8);
      const first = [...dead.received];

      const answering = notify('b', alive.url, 1);
      await eventually("another tenant's", () => alive.received.length === 1);
      assert.equal((await answering).delivered, 1);
      await notify('b', alive.url, 3, 1_000);
      // time enough for the server to be found slow, and not for a request to it to be given up
      await ambient.clock.advance(4_000);
      await eventually('those that were due', () => alive.received.length === 4);
      assert.equal(dead.held.length, 8, 'the first requests are open still');
      assert.deepEqual(dead.received, first, 'and there were no others');

      dead.recover();
      await eventually('all of its own', async () => {
        // no request may be given up for a machine that is busy
        if (held() === 0) await ambient.clock.advance(1_000);
        return dead.received.length >= due && held() === 0;
      });
      assert.equal(dead.received.length, due);
      const { delivered } = await notify('a', dead.url, 20);
      assert.equal(delivered, 20, 'none is sent twice, nor anything kept waiting any more');
      assert.equal(dead.received.length, due + 20);
    });

  it("does not keep its tenant's others waiting", async (t) => {
    const { notify } = await open(t, webhook);
    const [dead, alive] = [await hanging(t), await hanging(t)];
    alive.recover();
    const waits = notify('a', dead.url, 200);
    await eventually('the first requests', () => dead.held.length === 8);
    const answering = notify('a', alive.url, 50);
    await eventually('those to the other', () => alive.received.length === 50);
    assert.equal((await answering).delivered, 50);
    assert.equal(dead.held.length, 8);
    dead.recover();
    assert.equal((await waits).delivered, 200);
  });

  it('is one of many behind the sandbox too', async (t) => {
    const [dead, alive] = [await hanging(t), await hanging(t)];
    alive.recover();
    const urls = [dead, alive].flatMap(({ url }) =>
      Array.from({ length: 40 }, (_, i) => `${url}/hook/user-${i}`),
    );
    const sandbox = { NOTIFY_SANDBOX: 'capture', NOTIFY_SANDBOX_ALLOW: urls.join() };
    const { notify } = await open(t, webhook, sandbox);
    void notify('a', dead.url, 40);
    await eventually('the first requests', () => dead.held.length === 8);
    const answering = notify('b', alive.url, 1);
    await eventually("another tenant's", () => alive.received.length === 1);
    assert.equal((await answering).delivered, 1);
    dead.recover();
  });
});
