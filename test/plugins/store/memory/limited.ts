import assert from 'node:assert/strict';
import { MemoryStore, type MemoryStoreLimits } from '../../../../plugins/store/memory/memory-store.ts';
import { NotifyError } from '../../../../src/core/errors.ts';
import type { Notification, UserKey } from '../../../../src/core/glossary.ts';
import type { NewNotification } from '../../../../src/core/store.ts';
import { Ground, isNotFound } from '../../../conformance/store/ground.ts';
import { fakeAmbient } from '../../../support/ambient.ts';

/** Limits that no test comes near. */
export const roomy: MemoryStoreLimits = { notificationsPerUser: 10_000, bytes: 2 ** 30 };

/** A store with limits of its own, and the makers of the conformance suite on it. */
export function limited(limits: Partial<MemoryStoreLimits>): { ground: Ground; store: MemoryStore } {
  const ambient = fakeAmbient();
  const store = new MemoryStore({ ambient, limits: { ...roomy, ...limits } });
  return { ground: new Ground(store, ambient), store };
}

/** Why a row could not be stored; undefined where it was. */
export async function refusal(store: MemoryStore, row: NewNotification): Promise<Error | undefined> {
  const [outcome] = await store.createNotifications([row]);
  return outcome && 'error' in outcome ? outcome.error : undefined;
}

export function isFull(error: Error | undefined, advice: RegExp): void {
  assert.ok(error instanceof NotifyError);
  assert.equal(error.code, 'resource_exhausted');
  assert.match(error.message, advice);
  assert.match(error.message, /mark some as read or delete them, or use the postgres store/);
}

export const isGone = (ground: Ground, owner: UserKey, { id }: Notification) =>
  isNotFound(ground.store.getNotification(owner, id));
