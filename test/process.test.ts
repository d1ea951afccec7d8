import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { as, call, procedures } from './support/build.ts';
import { eventually } from './support/eventually.ts';
import { endStream, openPreface, requestHeaders } from './support/http2-frames.ts';
import { moduleFile } from './support/module.ts';
import { NotifyProcess, TestProcess } from './support/process.ts';
import { openEvents } from './support/sse.ts';

/**
 * A module of a user's own: an email provider that answers once GET /release has been called on the ops port, through a
 * decorator on core.
 */
const slowEmail = `
import { setTimeout as sleep } from 'node:timers/promises';
const held = Promise.withResolvers();
export const core = async (app) => {
  app.decorate('mailbox', []);
  app.registerProvider('email', 'slow', async (opened) => ({
    channel: 'email',
    name: 'slow',
    async send({ destination, content }) {
      opened.mailbox.push({ destination, title: content.title });
      await held.promise;
      return { providerMessageId: 'm-' + opened.mailbox.length };
    },
  }));
  mailbox = app.mailbox;
};
let mailbox;
core[Symbol.for('skip-override')] = true;
export const ops = async (app) => {
  app.get('/release', async () => { held.resolve(); return { mailbox }; });
  app.get('/mailbox', async () => ({ mailbox, providers: [...app.providers.keys()] }));
};
export const client = async (app) => { app.get('/hello', async () => ({ hello: 'client' })); };
export const internal = async (app) => { app.get('/hello', async () => ({ hello: 'internal' })); };
`;

/** The service with the slow email provider. */
function withSlowEmail(t: TestContext, env: Readonly<Record<string, string>> = {}): NotifyProcess {
  return new NotifyProcess(t, {
    NOTIFY_PLUGINS: moduleFile(t, slowEmail),
    NOTIFY_EMAIL_PROVIDER: 'slow',
    NOTIFY_EMAIL_FROM: 'notify@example.com',
    NOTIFY_SYNC_ATTEMPT_TIMEOUT: '60s',
    ...env,
  });
}

const byEmail = (id: string) => ({
  tenantId: 'demo',
  notificationId: id,
  userIds: ['alice'],
  channels: ['DELIVERY_CHANNEL_EMAIL'],
  addresses: { alice: { byChannel: { email: 'alice@example.com' } } },
  title: 'in flight',
});

/** Starts a Notify call that the provider holds. */
async function callInFlight(ops: string, internal: string) {
  const answer = call(internal, procedures.notify, byEmail('x'));
  answer.catch(() => {}); // a process that is killed breaks it off
  await eventually('the provider has the message', async () => {
    const { mailbox } = (await (await fetch(`${ops}/mailbox`)).json()) as { mailbox: unknown[] };
    return mailbox.length === 1;
  });
  return { answer };
}

const health = async (ops: string) => (await fetch(`${ops}/healthz`)).status;

describe('the process', () => {
  it('boots and logs in the form that pipelines parse', async (t) => {
    const notify = new NotifyProcess(t, { NOTIFY_LOG_LEVEL: 'debug', NOTIFY_TYPO: 'x' });
    const url = await notify.listening();
    assert.equal(await health(url.ops), 200);
    await call(url.client, procedures.getNotifications, {}, as('alice'));
    notify.kill('SIGINT');
    assert.deepEqual(await notify.exited, { code: 0, signal: null });
    assert.equal(notify.stderr, '');
    assert.ok(notify.stdout.endsWith('}\n'));
    const lines = notify.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const { time, level, msg } of lines) {
      assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.match(level, /^(DEBUG|INFO|WARN|ERROR)$/);
      assert.equal(typeof msg, 'string');
    }
    const others = /^(memory_store|Server listening)/;
    const known = lines
      .filter(({ msg }) => !others.test(msg))
      .map(({ level, msg }) => `${level} ${msg.split(':')[0]}`);
    assert.deepEqual(known, [
      'INFO notifyd_starting',
      'WARN unknown_variable',
      'WARN dev_mode',
      'INFO server_listen',
      'INFO channels',
      'INFO rpc',
      'INFO server_shutdown_signal',
      'INFO server_stopped',
    ]);
  });

  it('stops on SIGTERM without losing anything, once however often the signal comes at that moment', async (t) => {
    const notify = withSlowEmail(t, { NOTIFY_SHUTDOWN_TIMEOUT: '20s' });
    const url = await notify.listening();
    const streams = await Promise.all(
      [1, 2, 1].map((httpVersion) =>
        openEvents(url.client, { headers: as('alice'), httpVersion: httpVersion as 1 | 2 }),
      ),
    );
    t.after(() => {
      for (const stream of streams) stream.close();
    });
    for (const stream of streams) await stream.next('inbox');
    const { answer } = await callInFlight(url.ops, url.internal);
    assert.equal(await health(url.ops), 200);

    notify.kill('SIGTERM');
    notify.kill('SIGTERM');
    for (const stream of streams) {
      assert.deepEqual(await stream.nextJson('end'), { reason: 'shutdown', reconnect: true });
      await stream.end();
    }
    await notify.logged('server_shutdown_signal');
    notify.kill('SIGTERM');
    assert.equal(await health(url.ops), 503, 'not ready while a call is under way');
    assert.equal(await Promise.race([answer, 'under way']), 'under way');
    await fetch(`${url.ops}/release`);
    const { status, body } = await answer;
    assert.equal(status, 200);
    assert.equal(body.delivered, 1);
    assert.deepEqual(await notify.exited, { code: 0, signal: null });
    assert.equal(notify.lines('server_shutdown_signal').length, 1);
    assert.equal(notify.lines().at(-1)?.msg, 'server_stopped');
  });

  it('exits 1 when it has not stopped by NOTIFY_SHUTDOWN_TIMEOUT', async (t) => {
    const notify = withSlowEmail(t, { NOTIFY_SHUTDOWN_TIMEOUT: '600ms' });
    const url = await notify.listening();
    await callInFlight(url.ops, url.internal);
    const started = performance.now();
    notify.kill('SIGTERM');
    assert.deepEqual(await notify.exited, { code: 1, signal: null });
    const tookMs = performance.now() - started;
    assert.ok(tookMs > 550 && tookMs < 5_000, `${tookMs} ms`);
    assert.equal(notify.lines().at(-1)?.level, 'ERROR');
    assert.match(String(notify.lines().at(-1)?.msg), /^shutdown_timeout/);
  });

  /** Opens a stream whose reader takes nothing more. */
  const stalledReaders: Record<string, (base: string) => () => void> = {
    'over HTTP/1.1': (base) => {
      const socket = net.connect(Number(new URL(base).port), '127.0.0.1').on('error', () => {});
      socket.write('GET /v1/events?access_token=dev:alice:demo HTTP/1.1\r\nHost: notify\r\n\r\n');
      return () => socket.destroy();
    },
    'over HTTP/2': (base) => {
      const session = http2.connect(base).on('error', () => {});
      const stream = session.request({ ':path': '/v1/events', ...as('alice') }).on('error', () => {});
      stream.pause();
      return () => session.destroy();
    },
    'over HTTP/2, with nothing but TCP to hold the service back': (base) => {
      const socket = net.connect(Number(new URL(base).port), '127.0.0.1').on('error', () => {});
      const get = requestHeaders(1, '/v1/events', { ':method': 'GET', ...as('alice') }, endStream);
      socket.write(Buffer.concat([openPreface, get]));
      return () => socket.destroy();
    },
  };
  for (const [how, open] of Object.entries(stalledReaders))
    it(`stops with 0 in time, also with a reader that takes nothing ${how}`, async (t) => {
      const notify = new NotifyProcess(t, {
        NOTIFY_SHUTDOWN_TIMEOUT: '2s',
        NOTIFY_LIVE_CONFIRM_TIMEOUT: '0',
      });
      const url = await notify.listening();
      t.after(open(url.client));
      await notify.logged('stream_open');
      for (let i = 0; i < 20; i += 1)
        await call(url.internal, procedures.notify, {
          tenantId: 'demo',
          notificationId: `${i}`,
          userIds: ['alice'],
          title: 'large',
          body: 'x'.repeat(1_000_000),
        });
      await notify.logged('event_queue_full');
      notify.kill('SIGTERM');
      assert.deepEqual(await notify.exited, { code: 0, signal: null });
      assert.equal(notify.lines().at(-1)?.msg, 'server_stopped');
    });

  it('stops at once on a signal that comes later than an echo', async (t) => {
    const notify = withSlowEmail(t);
    const url = await notify.listening();
    await callInFlight(url.ops, url.internal);
    notify.kill('SIGTERM');
    await eventually('the second signal counts', () => {
      notify.kill('SIGINT');
      return notify.hasExited;
    });
    assert.deepEqual(await notify.exited, { code: 1, signal: null });
    const [first, second] = notify.lines().slice(-2);
    assert.equal(second?.msg, 'stopping at once');
    assert.ok(Date.parse(String(second?.time)) - Date.parse(String(first?.time)) >= 900);
  });

  it('stops with 0 on a signal that comes while it boots', async (t) => {
    const notify = new NotifyProcess(t, {
      NOTIFY_PLUGINS: moduleFile(
        t,
        `export const core = () => new Promise((resolve) => setTimeout(resolve, 10_000));`,
      ),
    });
    await notify.logged('notifyd_starting');
    notify.kill('SIGTERM');
    assert.deepEqual(await notify.exited, { code: 0, signal: null });
    assert.equal(notify.lines('server_listen').length, 0);
  });
});

describe('a process that crashes', () => {
  it('says why in its log, and exits 1', async (t) => {
    const crash = `export const ops = async (app) => {
      app.get('/crash', async () => { setImmediate(() => { throw new Error('out of the blue'); }); });
      app.get('/reject', async () => { Promise.reject(new Error('out of the blue')); });
    };`;
    for (const path of ['/crash', '/reject']) {
      const notify = new NotifyProcess(t, { NOTIFY_PLUGINS: moduleFile(t, crash) });
      const url = await notify.listening();
      await fetch(`${url.ops}${path}`).catch(() => {});
      assert.deepEqual(await notify.exited, { code: 1, signal: null });
      const last = notify.lines().at(-1);
      assert.deepEqual([last?.level, last?.msg], ['ERROR', 'crashed']);
      assert.match(JSON.stringify(last?.err), /out of the blue/);
    }
  });
});

describe('a process that cannot start', () => {
  it('names every violation of the configuration on stderr, and exits 1', async (t) => {
    const notify = new NotifyProcess(t, {
      NOTIFY_CLIENT_PORT: '99999',
      NOTIFY_LOG_LEVEL: 'loud',
      NOTIFY_SHUTDOWN_TIMEOUT: '30',
      NOTIFY_STORE_DRIVER: 'mysql',
    });
    assert.deepEqual(await notify.exited, { code: 1, signal: null });
    assert.match(notify.stderr, /^4 settings are wrong:$/m);
    for (const name of ['CLIENT_PORT', 'LOG_LEVEL', 'SHUTDOWN_TIMEOUT', 'STORE_DRIVER'])
      assert.match(notify.stderr, new RegExp(`^ {2}NOTIFY_${name}: \\S+`, 'm'));
    assert.equal(notify.stdout, '');
  });

  it('asks for the secrets of production, and says how to make them', async (t) => {
    const notify = new NotifyProcess(t, { NOTIFY_AUTH_DEV_MODE: 'false' });
    assert.deepEqual(await notify.exited, { code: 1, signal: null });
    assert.match(notify.stderr, /NOTIFY_AUTH_JWT_SECRET: .*openssl rand/);
    assert.match(notify.stderr, /NOTIFY_INTERNAL_TOKEN: .*openssl rand/);
  });

  it('says which port is in use, and which variable moves it', async (t) => {
    const taken = net.createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    await eventually('a port is taken', () => taken.listening);
    const { port } = taken.address() as net.AddressInfo;
    for (const name of ['CLIENT', 'INTERNAL', 'METRICS']) {
      const notify = new NotifyProcess(t, { [`NOTIFY_${name}_PORT`]: String(port) });
      assert.deepEqual(await notify.exited, { code: 1, signal: null });
      assert.equal(
        notify.stderr,
        `notify cannot start: port ${port} is in use by another process; stop it, or set NOTIFY_${name}_PORT\n`,
      );
      assert.equal(notify.lines('boot_failed')[0]?.level, 'ERROR');
    }
  });

  it('says what is wrong with a module', async (t) => {
    for (const [text, words] of [
      ['export const core = 1;', /must export Fastify plugins under core, client, internal, ops/],
      ['throw new Error("from the module");', /cannot be loaded/],
      ['export const core = async () => { throw new Error("from the plugin"); };', /from the plugin/],
    ] as const) {
      const notify = new NotifyProcess(t, { NOTIFY_PLUGINS: moduleFile(t, text) });
      assert.deepEqual(await notify.exited, { code: 1, signal: null });
      assert.match(notify.stderr, words);
      assert.equal(notify.lines('boot_failed').length, 1);
    }
  });
});

describe('NOTIFY_PLUGINS', () => {
  it('adds routes to each port, a decorator to core and a provider', async (t) => {
    const notify = withSlowEmail(t);
    const url = await notify.listening();
    for (const place of ['client', 'internal'] as const)
      assert.deepEqual(await (await fetch(`${url[place]}/hello`)).json(), { hello: place });
    assert.equal((await fetch(`${url.ops}/hello`)).status, 404);
    const { answer } = await callInFlight(url.ops, url.internal);
    const { mailbox, providers } = (await (await fetch(`${url.ops}/mailbox`)).json()) as Record<
      string,
      unknown
    >;
    assert.deepEqual(providers, ['email']);
    assert.deepEqual(mailbox, [{ destination: 'alice@example.com', title: 'in flight' }]);
    await fetch(`${url.ops}/release`);
    assert.equal((await answer).body.delivered, 1);
    const metrics = await (await fetch(`${url.ops}/metrics`)).text();
    assert.match(metrics, /^notify_send_total\{channel="email",provider="slow",status="delivered"\} 1$/m);
  });
});

describe('--test-providers', () => {
  it('gives every channel without a provider the test provider, and says so', async (t) => {
    const env = { NOTIFY_SMS_PROVIDER: 'none' };
    const notify = new NotifyProcess(t, env, ['--dev', '--test-providers']);
    const url = await notify.listening();
    const channels = ['email', 'whatsapp', 'web_push', 'mobile_push', 'chat'];
    const [line] = notify.lines(
      'test_provider: nothing is sent on these channels; the playground shows what would be',
    );
    assert.deepEqual([line?.level, line?.channels], ['WARN', channels]);
    await eventually('the banner', () =>
      notify.stderr.includes(`The test provider takes ${channels.join(', ')}: `),
    );
    assert.equal((await call(url.internal, procedures.notify, byEmail('x'))).body.delivered, 1);
  });

  it('is refused without dev mode', async (t) => {
    for (const [args, env, words] of [
      [['--test-providers'], {}, /^--test-providers is for development, .* use it with --dev$/m],
      [
        ['--dev', '--test-providers'],
        { NOTIFY_AUTH_DEV_MODE: 'false' },
        /NOTIFY_CHAT_PROVIDER: "test" sends nothing/,
      ],
    ] as const) {
      const notify = new NotifyProcess(t, env, args);
      assert.deepEqual(await notify.exited, { code: 1, signal: null });
      assert.match(notify.stderr, words);
    }
  });
});

describe('npm run dev', () => {
  const hasNpm = spawnSync('npm', ['--version']).status === 0;

  it('ends with npm: the ports close and nothing is left behind', {
    skip: hasNpm ? false : 'no npm on the PATH',
  }, async (t) => {
    const mark = `mark-${process.pid}-${Date.now()}`;
    const env = {
      NOTIFY_HOST: '127.0.0.1',
      NOTIFY_CLIENT_PORT: '0',
      NOTIFY_INTERNAL_PORT: '0',
      NOTIFY_METRICS_PORT: '0',
      TEST_MARK: mark,
    };
    const npm = new TestProcess(t, 'npm', ['run', 'dev'], env, { detached: true });
    const { client } = await npm.logged('server_listen');
    await eventually('the banner', () => /Playground +http:\/\/localhost:\d+\//.test(npm.stderr));
    npm.kill('SIGTERM');
    await eventually('the port is closed', () =>
      fetch(`http://127.0.0.1:${client}/`).then(
        () => false,
        () => true,
      ),
    );
    if (process.platform === 'linux')
      await eventually('no process of it is left', () => processesWith(`TEST_MARK=${mark}`).length === 0);
    await npm.exited;
    assert.equal(npm.lines().at(-1)?.msg, 'server_stopped');
  });
});

/** Ids of processes with this in their environment. */
function processesWith(setting: string): string[] {
  return readdirSync('/proc').filter((id) => {
    if (!/^\d+$/.test(id)) return false;
    try {
      return readFileSync(`/proc/${id}/environ`, 'utf8').split('\0').includes(setting);
    } catch {
      return false; // gone meanwhile
    }
  });
}
