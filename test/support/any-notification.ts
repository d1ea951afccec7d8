import fc from 'fast-check';
import { channels, type Delivery, type Notification, urgencies } from '../../src/core/glossary.ts';

const time = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
export const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed());
export const count = fc.nat(2 ** 31 - 1);
const status = fc.constantFrom('pending', 'delivered', 'acked', 'failed', 'suppressed' as const);

const delivery: fc.Arbitrary<Delivery> = fc.record({
  id: fc.uuid(),
  channel: fc.constantFrom(...channels),
  destination: text,
  provider: text,
  status: status as fc.Arbitrary<Delivery['status']>,
  reason: text,
  attempts: count,
  providerMessageId: text,
  deliveredAtMs: time,
  ackAtMs: time,
  dueAtMs: time,
  firstDueAtMs: time,
  openedAtMs: time,
  clickedAtMs: time,
});

/** Any notification that a store could hold. */
export const anyNotification: fc.Arbitrary<Notification> = fc.record({
  tenantId: text,
  userId: text,
  id: fc.uuid(),
  notificationId: text,
  type: text,
  subjectRef: text,
  subjectType: text,
  title: text,
  body: text,
  urgency: fc.constantFrom(undefined, ...urgencies),
  data: fc.constantFrom(undefined, '{}', '{"a":[1,null,"é"],"b":{"c":true}}'),
  actionUrl: fc.option(text, { nil: undefined }),
  iconUrl: fc.option(text, { nil: undefined }),
  actions: fc.array(fc.record({ label: text, url: text }), { maxLength: 2 }),
  expiresAtMs: time,
  position: count,
  createdAtMs: time,
  readAtMs: time,
  archivedAtMs: time,
  snoozedUntilMs: time,
  seen: fc.boolean(),
  deliveries: fc.array(delivery, { minLength: 1, maxLength: 3 }),
});
