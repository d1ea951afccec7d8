import type { Store } from '../../src/core/store.ts';

/** The same store with some of its methods replaced. */
export const storeWith = (store: Store, own: Partial<Store>): Store =>
  new Proxy(store, {
    get(target, name) {
      const holder = name in own ? own : target;
      const value: unknown = Reflect.get(holder, name, holder);
      return typeof value === 'function' ? value.bind(holder) : value;
    },
  });

/** The same store, whose reads for streams take a few turns of the event loop. */
export function slowly(store: Store): Store {
  const later = async () => {
    for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const slow = async <T>(read: () => Promise<T>): Promise<T> => {
    await later();
    const answer = await read();
    await later();
    return answer;
  };
  return storeWith(store, {
    notificationsSince: (owner, query) => slow(() => store.notificationsSince(owner, query)),
    notificationsAfter: (streams, limits) => slow(() => store.notificationsAfter(streams, limits)),
    async inboxSummary(owner) {
      await later();
      return store.inboxSummary(owner);
    },
  });
}
