import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryStore } from '../../../plugins/store/memory/memory-store.ts';
import { at } from '../../conformance/store/ground.ts';
import { storeConformance } from '../../conformance/store.ts';
import { limited, roomy } from './memory/limited.ts';

storeConformance('memory', async (ambient) => new MemoryStore({ ambient, limits: roomy }), { runs: 300 });

describe('positions of the memory store', () => {
  it('start for every user at the boot time in microseconds', async () => {
    const { ground } = limited({});
    const bootUs = ground.ambient.clock.now() * 1_000;
    const [early, late] = [ground.user(), ground.user()];
    assert.equal((await ground.add(early)).position, bootUs + 1);
    await ground.ambient.clock.advance(60_000);
    const { newestPosition, oldestResumable } = await ground.store.inboxSummary(late);
    assert.deepEqual([newestPosition, oldestResumable], [bootUs, bootUs]);
    assert.equal((await ground.add(late)).position, bootUs + 1);
  });

  it('of an earlier run are too old to resume from, so that its clients are told to reset', async () => {
    const { ground } = limited({});
    const owner = ground.user();
    const items = await ground.addMany(owner, 500);
    await ground.ambient.clock.advance(1);
    const restarted = new MemoryStore({ ambient: ground.ambient, limits: roomy });
    assert.ok((await restarted.inboxSummary(owner)).oldestResumable > at(items, -1).position);
  });
});
