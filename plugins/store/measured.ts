import { NotifyError } from '../../src/core/errors.ts';
import type { Store } from '../../src/core/store.ts';

/** Told of every call to the store: its operation, `ok` or an error code, and how long it took. */
export type StoreObserver = (op: string, code: string, seconds: number) => void;

/** What is measured: everything that reads or writes rows. */
const measuredOps = [
  'createNotifications',
  'getNotification',
  'listNotifications',
  'notificationsSince',
  'notificationsAfter',
  'inboxSummary',
  'changedInboxes',
  'changeInbox',
  'claimDeliveries',
  'renewLeases',
  'releaseLeases',
  'recordOutcomes',
  'recordReceipts',
  'advanceItems',
  'cancelNotification',
  'retryDeliveries',
  'listDeliveries',
  'getDelivery',
  'registerDevice',
  'listDevices',
  'removeDevice',
  'putRecipients',
  'getRecipient',
  'destinations',
  'eraseUser',
  'markAddressesDead',
  'deadAddresses',
  'listDeadAddresses',
  'reviveAddress',
] as const satisfies readonly (keyof Store)[];

const labels: Record<(typeof measuredOps)[number], string> = {
  createNotifications: 'create_notifications',
  getNotification: 'get_notification',
  listNotifications: 'list_notifications',
  notificationsSince: 'notifications_since',
  notificationsAfter: 'notifications_after',
  inboxSummary: 'inbox_summary',
  changedInboxes: 'changed_inboxes',
  changeInbox: 'change_inbox',
  claimDeliveries: 'claim_deliveries',
  renewLeases: 'renew_leases',
  releaseLeases: 'release_leases',
  recordOutcomes: 'record_outcomes',
  recordReceipts: 'record_receipts',
  advanceItems: 'advance_items',
  cancelNotification: 'cancel_notification',
  retryDeliveries: 'retry_deliveries',
  listDeliveries: 'list_deliveries',
  getDelivery: 'get_delivery',
  registerDevice: 'register_device',
  listDevices: 'list_devices',
  removeDevice: 'remove_device',
  putRecipients: 'put_recipients',
  getRecipient: 'get_recipient',
  destinations: 'destinations',
  eraseUser: 'erase_user',
  markAddressesDead: 'mark_addresses_dead',
  deadAddresses: 'dead_addresses',
  listDeadAddresses: 'list_dead_addresses',
  reviveAddress: 'revive_address',
};

/** The same store, with every call measured. */
export function measured(store: Store, observe: StoreObserver): Store {
  const wrapped: Record<string, unknown> = {
    name: store.name,
    now: () => store.now(),
    ready: () => store.ready(),
    close: () => store.close(),
  };
  for (const op of measuredOps) {
    const call = (store[op] as (...args: unknown[]) => Promise<unknown>).bind(store);
    const label = labels[op];
    wrapped[op] = async (...args: unknown[]) => {
      const startedMs = performance.now();
      const observed = (code: string) => observe(label, code, (performance.now() - startedMs) / 1000);
      try {
        const result = await call(...args);
        observed('ok');
        return result;
      } catch (error) {
        observed(error instanceof NotifyError ? error.code : 'internal');
        throw error;
      }
    };
  }
  return wrapped as unknown as Store;
}
