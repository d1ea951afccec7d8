import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Store } from '../../../src/core/store.ts';
import type { Ground } from './ground.ts';

/** Opening and closing. */
export function lifecycle(ground: Ground, open: () => Promise<Store>): void {
  describe('opening and closing', () => {
    it('is ready once it is open, and not after it was closed', async () => {
      const store = await open();
      assert.equal(await store.ready(), true);
      await store.close();
      assert.equal(await store.ready(), false);
    });

    it('may be closed twice', async () => {
      const store = await open();
      await store.close();
      await store.close();
    });

    it('answers unavailable once it is closed, so that a caller tries another server', async () => {
      const store = await open();
      const owner = ground.user();
      await store.close();
      const unavailable = { name: 'NotifyError', code: 'unavailable' };
      await assert.rejects(store.inboxSummary(owner), unavailable);
      await assert.rejects(store.createNotifications([ground.draft(owner)]), unavailable);
      await assert.rejects(store.listDevices(owner), unavailable);
    });
  });
}
