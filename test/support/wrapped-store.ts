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

/** The same store, whose reads take a few turns of the event loop. */
export function slowly(store: Store): Store {
  const later = async () => {
    for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return storeWith(store, {
    async notificationsSince(owner, query) {
      await later();
      const page = await store.notificationsSince(owner, query);
      await later();
      return page;
    },
    async inboxSummary(owner) {
      await later();
      return store.inboxSummary(owner);
    },
  });
}
