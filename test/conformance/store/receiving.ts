import assert from 'node:assert/strict';
import type { Attempt, Delivery, Notification } from '../../../src/core/glossary.ts';
import type { DeliveryRef, Lease, Outcome } from '../../../src/core/outbox.ts';
import type { Receipt } from '../../../src/core/receipts/receipt.ts';
import { deliveryOf, type Ground } from './ground.ts';

/** A channel that no other tests of the suite use: a claim sees every tenant of the store. */
export const channel = 'whatsapp';
export const number = '+15550100123';

/** What a receipt says of a message that is lost. */
export const lost = { kind: 'lost', reason: 'twilio_30005', detail: 'no such number' } as const;

/** Deliveries that receipts are about, by the provider `twilio` unless a test says otherwise. */
export function receiving(ground: Ground) {
  const receiptOf = ({ tenantId, id, deliveries }: Notification, over: Partial<Receipt> = {}): Receipt => ({
    tenantId,
    id,
    deliveryId: deliveries[0]?.id ?? '',
    channel,
    provider: 'twilio',
    kind: 'arrived',
    reason: '',
    detail: '',
    dead: undefined,
    atMs: ground.now,
    ...over,
  });
  const refOf = ({ tenantId, userId, id, deliveries }: Notification): DeliveryRef => ({
    tenantId,
    userId,
    id,
    deliveryId: deliveries[0]?.id ?? '',
  });
  const recordOf = (stored: Notification) =>
    ground.store.getDelivery(stored.tenantId, refOf(stored).deliveryId);
  return {
    /** One that is due, and held by nobody. */
    async due(owner = ground.user()): Promise<Notification> {
      const delivery = ground.email({ channel, destination: number, provider: 'twilio' });
      const [outcome] = await ground.createFor(undefined, ground.draft(owner, { deliveries: [delivery] }));
      assert.ok(outcome);
      return outcome.notification;
    },
    receiptOf,
    refOf,
    tell: (stored: Notification, ...overs: Partial<Receipt>[]) =>
      ground.store.recordReceipts(overs.map((over) => receiptOf(stored, over))),
    async stateOf({ tenantId, userId, id }: Notification): Promise<Delivery> {
      return deliveryOf(await ground.store.getNotification({ tenantId, userId }, id), channel);
    },
    recordOf,
    async logOf(stored: Notification): Promise<readonly Attempt[]> {
      return (await recordOf(stored)).log;
    },
    settle(stored: Notification, over: Partial<Outcome> = {}): Promise<boolean[]> {
      const attempts = [ground.attempt({ provider: 'twilio' })];
      return ground.store.recordOutcomes([ground.outcome(stored, channel, { attempts, ...over })]);
    },
    /** Leases one delivery among all that are due. */
    async claim(lease: Lease, stored: Notification): Promise<boolean> {
      const { deliveries } = await ground.store.claimDeliveries({
        lease,
        room: new Map([[channel, 500]]),
        suspect: true,
        takeOver: true,
      });
      return deliveries.some(({ notification }) => notification.id === stored.id);
    },
  };
}
