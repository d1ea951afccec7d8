import type { Clock } from '../../../src/core/ambient.ts';
import type { InboxSummary, UserKey } from '../../../src/core/glossary.ts';
import { UserMap } from '../../../src/core/user-map.ts';
import { DeadTable } from './dead-table.ts';
import { DeviceTable } from './device-table.ts';
import { DueTimes } from './due.ts';
import { inboxBytes } from './estimate.ts';
import { expireItems } from './expiry.ts';
import { MemoryOutbox } from './outbox.ts';
import { RecipientTable } from './recipient-table.ts';
import { Room } from './room.ts';
import type { Row } from './row.ts';
import { UserInbox } from './user-inbox.ts';

/** Whose item, and which. */
export interface ItemRef {
  readonly owner: UserKey;
  readonly id: string;
}

/** Everything that a memory store holds. */
export class Tables {
  readonly clock: Clock;
  readonly room: Room;
  readonly inboxes = new UserMap<UserInbox>();
  readonly devices: DeviceTable;
  readonly dead: DeadTable;
  readonly recipients: RecipientTable;
  readonly outbox = new MemoryOutbox();
  /** Items that appear, come back or expire. */
  readonly dueItems = new DueTimes<ItemRef>();
  readonly #firstPosition: number;
  /** By tenant: above the positions and versions of all inboxes that were erased. */
  readonly #floors = new Map<string, number>();
  #sequence = 0;

  /** @param limitBytes of the estimates of all that is stored, see estimate.ts */
  constructor(clock: Clock, limitBytes: number) {
    this.clock = clock;
    this.#firstPosition = clock.now() * 1_000;
    this.room = new Room(limitBytes, (row) => this.drop(row));
    this.devices = new DeviceTable(this.room);
    this.dead = new DeadTable(this.room);
    this.recipients = new RecipientTable(this.room, this.dead);
  }

  /** The user's inbox as of now; undefined where nothing was ever stored in it. A look alone stores nothing. */
  inbox(owner: UserKey): UserInbox | undefined {
    const inbox = this.inboxes.get(owner);
    if (inbox !== undefined) expireItems(inbox, this.clock.now());
    return inbox;
  }

  /** An inbox for a user who has none. */
  newInbox({ tenantId, userId }: UserKey): UserInbox {
    const floor = this.#floors.get(tenantId);
    const inbox = new UserInbox({ tenantId, userId }, floor ?? this.#firstPosition, floor ?? 0, this.room);
    this.inboxes.set(inbox.owner, inbox);
    return inbox;
  }

  /** Forgets a user's inbox, whose rows are gone. The tenant's next ones begin above it. */
  dropInbox({ owner, newestPosition, version }: UserInbox): void {
    const floor = Math.max(newestPosition, version) + 1;
    this.#floors.set(owner.tenantId, Math.max(floor, this.#floors.get(owner.tenantId) ?? 0));
    this.inboxes.delete(owner);
    this.room.release(inboxBytes);
  }

  /** Whether a position is of an inbox that was erased before this one began. */
  isOfAnother(inbox: UserInbox, position: number): boolean {
    // who was at the first position was in an inbox that had nothing
    return position > this.#firstPosition && position < inbox.floor;
  }

  /** Its counts; those of a new one where there is none. */
  summary(inbox: UserInbox | undefined): InboxSummary {
    return (
      inbox?.summary ?? {
        unreadCount: 0,
        unseenCount: 0,
        version: 0,
        newestPosition: this.#firstPosition,
        oldestResumable: this.#firstPosition,
      }
    );
  }

  /** Every row of a tenant. */
  rowsOf(tenantId: string): Row[] {
    return [...this.inboxes.ofTenant(tenantId)].flatMap((inbox) => [...inbox.rows()]);
  }

  /** The next of the numbers by which rows know their order, over all users. */
  nextSequence(): number {
    return ++this.#sequence;
  }

  /** Notes when something is due with an item, or that nothing is any more. */
  schedule(row: Row | undefined): void {
    if (row !== undefined) this.dueItems.set(row.id, { owner: row.owner, id: row.id }, row.dueAtMs);
  }

  /** Drops a row with all that belongs to it. */
  drop(row: Row): void {
    this.inboxes.get(row.owner)?.evict(row);
    this.dueItems.set(row.id, { owner: row.owner, id: row.id }, 0n);
    for (const { id } of row.deliveries) this.outbox.drop(id);
  }

  /** Forgets everything. */
  clear(): void {
    this.inboxes.clear();
    this.#floors.clear();
    this.devices.clear();
    this.recipients.clear();
    this.dead.clear();
    this.outbox.clear();
  }
}
