import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { system } from '../../../src/system.ts';
import { as, build, call, procedures, type Service } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { logFile } from '../../support/log.ts';
import { postgresForFile } from '../../support/postgres.ts';
import { noRedis, TestRedis } from '../../support/redis.ts';
import { openEvents, type SseStream } from '../../support/sse.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';

const { postgres, skip } = await postgresForFile();

describe('replicas that hear each other over Redis', { skip: noRedis || skip }, () => {
  const pair = async (t: TestContext, url: string) => {
    const dsn = await postgres().database();
    const log = logFile(t);
    const env = { NOTIFY_STORE_DRIVER: 'postgres', NOTIFY_POSTGRES_DSN: dsn, NOTIFY_REDIS_URL: url };
    const a = await build(t, env, { logger: log.logger });
    const b = await build(t, env, { logger: log.logger });
    return { a, b, log };
  };
  const open = async (t: TestContext, at: Service, user = 'alice'): Promise<SseStream> => {
    const stream = await openEvents(at.url.client, { headers: as(user) });
    t.after(() => stream.close());
    await stream.next('inbox');
    return stream;
  };
  const notify = async (at: Service, id: string) => {
    const body = { tenantId: 'demo', notificationId: id, userIds: ['alice'], title: id };
    const answer = await call(at.url.internal, procedures.notify, body);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  };
  const known = (at: Service, sessions = 1) =>
    eventually('alice is known elsewhere', () => {
      return at.core.peers?.sessions({ tenantId: 'demo', userId: 'alice' }) === sessions;
    });

  it('answer delivered when a stream of the other one took it', async (t) => {
    const redis = await TestRedis.start(t);
    const { a, b, log } = await pair(t, redis.url());
    const stream = await open(t, b);
    await known(a);
    const body = await notify(a, 'n-1');
    assert.deepEqual([body.delivered, body.pending], [1, 0]);
    assert.equal(await stream.nextTitle(), 'n-1');
    assert.equal(log.lines('backplane_connected')[0]?.transport, 'redis');
  });

  it('start without it, find in the store what they cannot hear, and use it once it is there', async (t) => {
    const redis = await TestRedis.away(t);
    const { a, b, log } = await pair(t, redis.url());
    assert.ok(log.lines().some(({ msg }) => String(msg).startsWith('backplane_lost')));
    const stream = await open(t, b);
    await notify(a, 'unheard');
    assert.equal(await stream.nextTitle(), 'unheard');
    await redis.start();
    await known(a);
    const body = await notify(a, 'heard');
    assert.deepEqual([body.delivered, body.pending], [1, 0]);
    assert.equal(await stream.nextTitle(), 'heard');
  });

  it('go on when it dies and comes back, and never log its password', async (t) => {
    const redis = await TestRedis.start(t);
    const { a, b, log } = await pair(t, redis.url());
    const stream = await open(t, b);
    await known(a);
    for (let round = 0; round < 2; round++) {
      await redis.kill();
      await notify(a, `away-${round}`);
      assert.equal(await stream.nextTitle(), `away-${round}`);
      await redis.start();
      await eventually('it is heard again', async () => {
        const id = `back-${round}-${Math.random()}`;
        const { delivered } = await notify(a, id);
        assert.equal(await stream.nextTitle(), id);
        return delivered === 1;
      });
    }
    assert.ok(!log.text().includes(redis.password));
  });

  it('say again and again that its password is wrong, in a metric too', async (t) => {
    const redis = await TestRedis.start(t);
    const log = logFile(t);
    let laterMs = 0;
    const clock = { ...system.clock, elapsed: () => system.clock.elapsed() + laterMs };
    const env = {
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: await postgres().database(),
      NOTIFY_REDIS_URL: `redis://:a-wrong-password@127.0.0.1:${redis.port}`,
    };
    const app = await build(t, env, { logger: log.logger, ambient: { ...system, clock } });
    const said = () => log.lines().filter(({ msg }) => String(msg).startsWith('backplane_lost'));
    assert.equal(said().length, 1);
    for (let minute = 1; minute <= 2; minute++) {
      laterMs += 60_000;
      await eventually('it is said again', () => said().length > minute);
    }
    for (const { err } of said()) assert.match((err as Error).message, /WRONGPASS/);
    assert.ok(!log.text().includes('a-wrong-password'));
    const metrics = async (at: Service) => (await fetch(`${at.url.ops}/metrics`)).text();
    assert.match(await metrics(app), /^notify_backplane_connected\{transport="redis"\} 0$/m);
    const { a } = await pair(t, redis.url());
    assert.match(await metrics(a), /^notify_backplane_connected\{transport="redis"\} 1$/m);
  });

  it('give up a connection over which nothing comes any more', async (t) => {
    const redis = await TestRedis.start(t);
    const proxy = await TcpProxy.listen(t, redis.port);
    const { a, b, log } = await pair(t, redis.url(proxy.port));
    const stream = await open(t, b);
    await known(a);
    proxy.stall();
    await eventually('both have noticed', () => {
      return log.lines().filter(({ msg }) => String(msg).startsWith('backplane_lost')).length === 2;
    });
    await notify(a, 'unheard');
    assert.equal(await stream.nextTitle(), 'unheard');
    proxy.resume();
    await known(a);
  });

  it('are not hurt by what somebody else says there', async (t) => {
    const redis = await TestRedis.start(t);
    const { a, b } = await pair(t, redis.url());
    const stream = await open(t, b);
    await known(a);
    const from = (number: number, message: unknown) => JSON.stringify(['stranger', number, [message]]);
    await redis.publish('no json');
    await redis.publish('["x"]');
    await redis.publish(from(1, { kind: 'item' }));
    await redis.publish(from(2, { kind: 'presence', users: 7 }));
    await redis.publish(from(3, null));
    const owner = { tenantId: 'demo', userId: 'alice' };
    const summary = { unreadCount: 1.5, unseenCount: 0, version: 1_000 };
    await redis.publish(from(4, { kind: 'inbox', owner, change: { summary } }));
    await redis.publish(from(5, { kind: 'erased', owner, position: 'x' }));
    await redis.publish(from(6, { kind: 'of a newer version' }));
    // a position that is nowhere must not keep the session looking for it
    await redis.publish(from(7, { kind: 'item', owner, position: 2 ** 40 }));
    await notify(a, 'n-1');
    assert.equal(await stream.nextTitle(), 'n-1');
    await notify(b, 'n-2');
    assert.equal(await stream.nextTitle(), 'n-2');
  });

  it('say why a URL will not do, without quoting it', async (t) => {
    await assert.rejects(
      build(t, { NOTIFY_REDIS_URL: 'redis://:secret@cache:6379/path' }),
      (error: Error) =>
        /NOTIFY_REDIS_URL.*database's number/.test(error.message) && !error.message.includes('secret'),
    );
  });

  it('say that a memory store has no use for it', async (t) => {
    const log = logFile(t);
    await build(t, { NOTIFY_REDIS_URL: 'redis://127.0.0.1:1' }, { logger: log.logger });
    assert.ok(log.lines().some(({ msg }) => String(msg).startsWith('NOTIFY_REDIS_URL is not used')));
  });
});
