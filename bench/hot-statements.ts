import type pg from 'pg';
import { Database } from '../plugins/store/postgres/database.ts';
import { DatabaseClock } from '../plugins/store/postgres/database-clock.ts';
import { PostgresStore } from '../plugins/store/postgres/postgres-store.ts';
import type { Row, Runner, Statement, Transaction, Value } from '../plugins/store/postgres/statement.ts';
import type { Lease, Outcome } from '../src/core/outbox.ts';
import type { ListQuery, NewNotification } from '../src/core/store.ts';
import { system } from '../src/system.ts';

const owner = { tenantId: 'bench', userId: 'long' };
const lease: Lease = { token: system.ids.random(), durationMs: 45_000 };
const everything: ListQuery = {
  before: undefined,
  limit: 20,
  maxBytes: 3 * 2 ** 20,
  unreadOnly: false,
  types: [],
  channels: [],
  archived: false,
};

/** A database that notes what runs. */
class Recorder extends Database {
  readonly statements = new Map<string, Statement>();

  override read(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    this.#note(statement);
    return super.read(statement, values);
  }

  override write(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    this.#note(statement);
    return super.write(statement, values);
  }

  override transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return super.transaction((tx) => {
      const noting =
        (run: Runner['run']): Runner['run'] =>
        (statement, values) => {
          this.#note(statement);
          return run(statement, values);
        };
      return work({
        run: noting((statement, values) => tx.run(statement, values)),
        last: noting((statement, values) => tx.last(statement, values)),
        restart: () => tx.restart(),
      });
    });
  }

  #note(statement: Statement): void {
    this.statements.set(statement.name, statement);
  }
}

/**
 * Does once what a busy service does all the time.
 * @returns every statement that ran, by name
 */
export async function exercise(dsn: string): Promise<Statement[]> {
  const connection: pg.ClientConfig = { connectionString: dsn };
  const db = new Recorder({ connection, prepare: true, random: system.random });
  const store = new PostgresStore(db, new DatabaseClock(system.clock.now()));
  const item = row('hot');
  await store.createNotifications([item], lease);
  // a repeat, and one content for many
  const shared = row('shared');
  const many = Array.from({ length: 8 }, (_, i) => ({
    ...row('shared', `user-${i}`),
    content: shared.content,
  }));
  await store.createNotifications([item, ...many], lease);
  await store.getNotification(owner, item.id);
  for (const unreadOnly of [false, true])
    for (const archived of [false, true])
      await store.listNotifications(owner, { ...everything, unreadOnly, archived });
  await store.listNotifications(owner, { ...everything, types: ['order'], channels: ['in_app'] });
  for (const untakenAtMs of [undefined, BigInt(system.clock.now())])
    await store.notificationsSince(owner, { after: 99_990, limit: 100, maxBytes: 2 ** 20, untakenAtMs });
  await store.notificationsAfter([{ ...owner, after: 99_990 }], {
    limit: 100,
    maxBytes: 2 ** 16,
    maxBytesOfAll: 2 ** 20,
  });
  await store.inboxSummary(owner);
  await store.changedInboxes([{ ...owner, version: 0, newestPosition: 0 }]);
  await store.advanceItems(500);
  const room = new Map([['email', 256]] as const);
  const { deliveries } = await store.claimDeliveries({ lease, room, suspect: true, takeOver: true });
  const refs = deliveries.map(({ notification: { tenantId, userId, id }, deliveryId }) => ({
    tenantId,
    userId,
    id,
    deliveryId,
  }));
  await store.renewLeases(lease, refs);
  await store.releaseLeases(lease.token, refs.slice(1));
  const [inApp] = item.deliveries;
  const outcome: Omit<Outcome, 'deliveryId' | 'id' | 'leaseToken' | keyof typeof owner> = {
    status: 'delivered',
    reason: '',
    providerMessageId: '',
    atMs: BigInt(system.clock.now()),
    attempts: [],
    dueAtMs: 0n,
  };
  await store.recordOutcomes([
    { ...outcome, ...owner, id: item.id, deliveryId: inApp?.id ?? '', leaseToken: undefined },
    ...refs.slice(0, 1).map((ref) => ({ ...outcome, ...ref, leaseToken: lease.token })),
  ]);
  const atMs = BigInt(system.clock.now());
  const receipt = { provider: 'ses', reason: '', detail: '', dead: undefined, atMs } as const;
  await store.recordReceipts(
    refs
      .slice(0, 1)
      .map((ref) => ({ ...ref, ...receipt, channel: 'email' as const, kind: 'arrived' as const })),
  );
  await store.changeInbox(owner, { kind: 'read', id: item.id, atMs });
  await store.changeInbox(owner, { kind: 'seen_up_to', position: 50 });
  await store.changeInbox(owner, { kind: 'read_up_to', position: 50, atMs });
  await store.changeInbox(owner, { kind: 'delete', id: item.id, atMs });
  await store.close();
  return [...db.statements.values()];
}

function row(notificationId: string, userId = owner.userId): NewNotification {
  return {
    tenantId: owner.tenantId,
    userId,
    id: system.ids.next(),
    createdAtMs: BigInt(system.clock.now()),
    appearsAtMs: 0n,
    deliveries: (['in_app', 'email'] as const).map((channel) => ({
      id: system.ids.next(),
      channel,
      destination: channel === 'in_app' ? userId : 'a@example.com',
      provider: channel === 'in_app' ? 'in_app_realtime' : 'smtp',
      status: 'pending',
      reason: '',
    })),
    content: {
      notificationId,
      type: 'order',
      subjectRef: 'order/1',
      subjectType: 'order',
      title: 'Your order has shipped',
      body: 'It left our warehouse this morning.',
      urgency: undefined,
      data: undefined,
      actionUrl: undefined,
      iconUrl: undefined,
      actions: [],
      expiresAtMs: 0n,
    },
  };
}
