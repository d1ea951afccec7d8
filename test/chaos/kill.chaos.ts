import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { mulberry32 } from '../support/ambient.ts';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { Load } from './support/load.ts';
import { Replica } from './support/replica.ts';
import { amount, seed } from './support/scale.ts';
import { Sink } from './support/sink.ts';
import { assertRepeatsOnlyOfCrashes, assertStoredOnce, retryPoison, untilDrained } from './support/truth.ts';

const { postgres, skip } = await postgresForFile();

describe('kill -9 of the only process, again and again under load', { skip }, () => {
  it('loses nothing that was acknowledged, and repeats only what was under way', async (t) => {
    const rounds = amount('KILLS', { short: 4, long: 50 });
    const drawn = seed();
    const random = mulberry32(drawn);
    t.diagnostic(`CHAOS_SEED=${drawn}`);
    const sink = await Sink.listen(t);
    sink.latencyMs = () => 40 * random();
    sink.refuses = () => random() < 0.1;
    const dsn = await postgres().database();
    let current = await Replica.start(t, { dsn, sink });
    const replicas = [current];
    const load = new Load(t, { targets: () => (current.hasExited ? [] : [current.url.internal]), random });
    const awayMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const before = load.acknowledged.size;
      await eventually('calls to be answered', () => load.acknowledged.size > before + 5);
      // any moment: what is hit differs from round to round
      await pause(1_000 * random());
      await current.crash();
      const since = performance.now();
      current = await Replica.start(t, { dsn, sink });
      awayMs.push(performance.now() - since);
      replicas.push(current);
    }
    await load.stop();
    const setAside = await retryPoison(current);
    // at most the one suspect that the process held
    assert.ok(setAside <= rounds, `${setAside} innocent ones were set aside as poison`);
    const deliveries = await untilDrained(current, sink, load.expected);
    await assertStoredOnce(load, deliveries, current);
    const repeated = assertRepeatsOnlyOfCrashes(sink, replicas);
    // a process attempts 32 at a time; their outcomes are stored within a moment
    assert.ok(repeated <= rounds * 64, `${repeated} went out again`);
    t.diagnostic(
      `${rounds} kills, ${load.acknowledged.size} calls acknowledged, ${load.expected} deliveries, ${repeated} sent again (${(repeated / rounds).toFixed(1)} a kill), ${setAside} set aside as poison and retried, ${load.broken} calls broken off, back after ${Math.round(Math.max(...awayMs))} ms at most`,
    );
  });
});
