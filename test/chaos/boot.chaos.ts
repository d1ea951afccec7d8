import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { call, procedures } from '../support/build.ts';
import { postgresForFile } from '../support/postgres.ts';
import { notifyBody } from './support/load.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { Sink } from './support/sink.ts';

const { postgres, skip } = await postgresForFile();

describe('replicas that boot at once on an empty database', { skip }, () => {
  it('are all healthy, and one has migrated', async (t) => {
    const count = amount('REPLICAS', { short: 10, long: 10 });
    const sink = await Sink.listen(t);
    const dsn = await postgres().database('empty');
    const since = performance.now();
    const options = { dsn, sink, env: { NOTIFY_LOG_LEVEL: 'info' } };
    const replicas = await Promise.all(Array.from({ length: count }, () => Replica.start(t, options)));
    const tookMs = performance.now() - since;
    for (const { url } of replicas) assert.equal((await fetch(`${url.ops}/healthz`)).status, 200);
    const migrated = replicas.filter((replica) => replica.lines('postgres_migrated').length > 0);
    assert.equal(migrated.length, 1, 'one run of the migrations');
    const answers = await Promise.all(
      replicas.map(({ url }, i) => call(url.internal, procedures.notify, notifyBody(`n-${i}`, ['ada']))),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(sink.size, count);
    t.diagnostic(`${count} replicas listened ${Math.round(tookMs)} ms after they were started at once`);
  });
});
