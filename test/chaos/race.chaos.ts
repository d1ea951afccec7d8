import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { call, procedures } from '../support/build.ts';
import { postgresForFile } from '../support/postgres.ts';
import { notifyBody } from './support/load.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { Sink } from './support/sink.ts';
import { inboxOf, untilDrained } from './support/truth.ts';

const { postgres, skip } = await postgresForFile();

describe('200 calls with one notification_id at once, over four processes', { skip }, () => {
  it('store one notification and send it once', async (t) => {
    const rounds = amount('RACES', { short: 3, long: 30 });
    const sink = await Sink.listen(t);
    sink.latencyMs = () => 20;
    const dsn = await postgres().database();
    const replicas = await Promise.all(Array.from({ length: 4 }, () => Replica.start(t, { dsn, sink })));
    const [first] = replicas as [Replica];
    const users = ['ada', 'bob'];
    for (let round = 0; round < rounds; round++) {
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, i) => {
          const { url } = replicas[i % 4] as Replica;
          // in either order, so that transactions meet
          const order = i % 8 < 4 ? users : users.toReversed();
          return call(url.internal, procedures.notify, notifyBody(`race-${round}`, order));
        }),
      );
      for (const { status, body } of answers) {
        assert.equal(status, 200, JSON.stringify(body));
        const { delivered, pending, failed } = body as Record<string, number>;
        assert.deepEqual(
          [Number(delivered) + Number(pending), failed],
          [4, 0],
          'both users on both channels',
        );
      }
    }
    const deliveries = await untilDrained(first, sink, rounds * users.length);
    assert.equal(deliveries.length, rounds * users.length, 'one delivery for each user');
    assert.equal(sink.arrivals.length, rounds * users.length, 'one send of each');
    for (const user of users) assert.equal((await inboxOf(first.url.client, user)).length, rounds);
  });
});
