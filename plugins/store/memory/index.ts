import { getHeapStatistics } from 'node:v8';
import type { OpenStore } from '../open.ts';
import { MemoryStore } from './memory-store.ts';

/** Rows that one user may have before read ones give way. */
const notificationsPerUser = 10_000;

/** The share of the process's heap that notifications may take, by estimate. */
const heapShare = 0.5;

/** The development store: everything in this process's memory, gone with it. Bounded, and it says so. */
export const openMemoryStore: OpenStore = async (app) => {
  const bytes = Math.floor(getHeapStatistics().heap_size_limit * heapShare);
  app.log.warn(
    { notifications_per_user: notificationsPerUser, total_mib: Math.floor(bytes / 2 ** 20) },
    'memory_store: notifications live in this process and are lost when it stops; when full, read ones go first, then Notify answers resource_exhausted',
  );
  return new MemoryStore({ ambient: app.ambient, limits: { notificationsPerUser, bytes } });
};
