import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { buildApp, built } from '../src/app.ts';
import { parseConfig } from '../src/config.ts';
import { as, build, call, procedures } from './support/build.ts';
import { eventually } from './support/eventually.ts';
import { moduleFile } from './support/module.ts';
import { serve } from './support/serve.ts';

const paths = ['/healthz', '/health'] as const;

/** What both paths answer. */
async function health(ops: string): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const path of paths) {
    const response = await fetch(`${ops}${path}`);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    answers.push([response.status, await response.json()]);
  }
  return answers;
}

const ready = paths.map(() => [200, { status: 'ok' }]);
const notReady = paths.map(() => [503, { status: 'not_ready' }]);

describe('GET /healthz', () => {
  it('answers 503 until every port is open, and 200 from then on', async (t) => {
    const opening = Promise.withResolvers<void>();
    t.after(() => opening.resolve());
    const config = parseConfig(
      {
        NOTIFY_AUTH_DEV_MODE: 'true',
        NOTIFY_HOST: '127.0.0.1',
        NOTIFY_CLIENT_PORT: '0',
        NOTIFY_INTERNAL_PORT: '0',
        NOTIFY_METRICS_PORT: '0',
      },
      built,
    );
    const app = await buildApp(config);
    t.after(() => app.close());
    // the last port takes its time
    const { server } = app.internal;
    const listen = server.listen.bind(server) as (...options: unknown[]) => typeof server;
    server.listen = ((...options: unknown[]) => {
      void opening.promise.then(() => listen(...options));
      return server;
    }) as typeof server.listen;
    const listening = app.listen();
    const address = await eventually(
      'the ops port is open',
      () => app.ops.server.address() as AddressInfo | null,
    );
    const ops = `http://127.0.0.1:${address.port}`;
    assert.deepEqual(await health(ops), notReady);
    opening.resolve();
    await listening;
    assert.deepEqual(await health(ops), ready);
  });

  it('answers 503 through the whole stop, and its port closes last', async (t) => {
    const held = Promise.withResolvers<string>();
    t.after(() => held.resolve('given up'));
    let arrived = false;
    const atTheEnd: unknown[] = [];
    const service = await build(
      t,
      {},
      {
        plugins: [
          {
            internal: async (app: FastifyInstance) => {
              app.get('/slow', () => {
                arrived = true;
                return held.promise;
              });
            },
            core: async (app: FastifyInstance) => {
              app.addHook('onClose', async () => {
                atTheEnd.push(...(await health(service.url.ops)));
                for (const port of ['client', 'internal'] as const)
                  atTheEnd.push(
                    await fetch(service.url[port]).then(
                      () => 'open',
                      () => 'closed',
                    ),
                  );
              });
            },
          },
        ],
      },
    );
    assert.deepEqual(await health(service.url.ops), ready);
    const inFlight = fetch(`${service.url.internal}/slow`).then((response) => response.text());
    await eventually('a call is under way', () => arrived);
    const closing = service.close();
    assert.deepEqual(await health(service.url.ops), notReady);
    await eventually('the client port is closed', () =>
      fetch(service.url.client).then(
        () => false,
        () => true,
      ),
    );
    assert.deepEqual(await health(service.url.ops), notReady);
    held.resolve('finished');
    assert.equal(await inFlight, 'finished');
    await closing;
    assert.deepEqual(atTheEnd, [...notReady, 'closed', 'closed']);
    await assert.rejects(fetch(service.url.ops), 'the ops port is closed too');
  });
});

describe('GET /metrics', () => {
  /** What dashboards expect, and their labels. */
  const expected: Readonly<Record<string, readonly string[]>> = {
    notify_notify_requests_total: ['code'],
    notify_send_total: ['channel', 'provider', 'status'],
    notify_send_duration_seconds: ['channel', 'provider'],
    notify_store_op_total: ['op', 'code'],
    notify_store_op_duration_seconds: ['op'],
    notify_live_connections: ['device_type'],
    notify_stream_events_total: ['kind'],
  };

  it('has every metric that dashboards expect from the first scrape, and those of the process', async (t) => {
    const service = await build(t);
    const response = await fetch(`${service.url.ops}/metrics`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    const names = new Set([...text.matchAll(/^# TYPE (\S+) \S+$/gm)].map(([, name]) => name));
    for (const name of [
      ...Object.keys(expected),
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'process_start_time_seconds',
      'nodejs_eventloop_lag_seconds',
      ...['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
        (of) => `nodejs_eventloop_lag_${of}_seconds`,
      ),
      'nodejs_eventloop_utilization_summary',
      'nodejs_heap_size_used_bytes',
      'nodejs_gc_duration_seconds',
    ])
      assert.ok(names.has(name), name);
  });

  it('tells how late the event loop was since the last scrape, and not how often that is measured', async (t) => {
    const { metric } = await serve(t);
    const max = () => metric('nodejs_eventloop_lag_max_seconds');
    await eventually('a loop that stood still for 700 ms was late', async () => {
      const until = performance.now() + 700;
      while (performance.now() < until);
      return (await max()) >= 0.4;
    });
    // it is measured every 200 ms
    await eventually('a loop that turns is not', async () => {
      await pause(500);
      return (await max()) < 0.1;
    });
  });

  it('counts what happens, under the documented labels and none of a tenant or a user', async (t) => {
    const email = `export const core = async (app) => app.registerProvider('email', 'fake', async () => ({
      channel: 'email', name: 'fake', send: async () => ({ providerMessageId: 'm' }),
    }));`;
    const service = await serve(t, {
      NOTIFY_PLUGINS: moduleFile(t, email),
      NOTIFY_EMAIL_PROVIDER: 'fake',
      NOTIFY_EMAIL_FROM: 'a@example.com',
    });
    const stream = await service.open('alice-the-user', { headers: as('alice-the-user', 'demo-the-tenant') });
    await stream.next('inbox');
    await call(service.url.internal, procedures.notify, {
      tenantId: 'demo-the-tenant',
      notificationId: 'x',
      userIds: ['alice-the-user'],
      addresses: { 'alice-the-user': { byChannel: { email: 'alice@example.com' } } },
    });
    await stream.next('notification');
    await call(service.url.internal, procedures.notify, {});

    const { metric } = service;
    assert.equal(await metric('notify_notify_requests_total', { code: 'ok' }), 1);
    assert.equal(await metric('notify_notify_requests_total', { code: 'invalid_argument' }), 1);
    assert.equal(
      await metric('notify_send_total', { channel: 'email', provider: 'fake', status: 'delivered' }),
      1,
    );
    assert.equal(
      await metric('notify_send_duration_seconds_count', { channel: 'email', provider: 'fake' }),
      1,
    );
    assert.equal(await metric('notify_live_connections', { device_type: 'browser' }), 1);
    for (const kind of ['heartbeat', 'inbox', 'notification'])
      assert.equal(await metric('notify_stream_events_total', { kind }), 1, kind);
    assert.ok((await metric('notify_store_op_total', { code: 'ok' })) > 0);
    assert.ok((await metric('notify_store_op_duration_seconds_count')) > 0);

    const text = await (await fetch(`${service.url.ops}/metrics`)).text();
    assert.doesNotMatch(text, /alice|the-tenant/);
    for (const [, name = '', inside = ''] of text.matchAll(
      /^(notify_[a-z_]+?)(?:_bucket|_sum|_count)?\{(.*)\}/gm,
    )) {
      const labels = [...inside.matchAll(/([a-z_]+)="/g)]
        .map(([, label]) => label)
        .filter((label) => label !== 'le');
      assert.ok(
        !labels.some((label) => /tenant|user|session|notification/.test(label ?? '')),
        `${name}{${inside}}`,
      );
      if (expected[name]) assert.deepEqual(labels, expected[name], name);
    }
  });
});
