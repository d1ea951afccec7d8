import type { Recipient } from '../../../src/core/addresses.ts';
import type { Channel, EpochMs, UserKey } from '../../../src/core/glossary.ts';
import { UserMap } from '../../../src/core/user-map.ts';
import type { DeadTable } from './dead-table.ts';
import { estimateRecipientBytes } from './estimate.ts';
import type { Room } from './room.ts';

/** The records of all tenants' users. */
export class RecipientTable {
  readonly #room: Room;
  readonly #dead: DeadTable;
  readonly #byUser = new UserMap<Recipient>();

  /** @param dead an address that a record sets is alive again */
  constructor(room: Room, dead: DeadTable) {
    this.#room = room;
    this.#dead = dead;
  }

  get(owner: UserKey): Recipient | undefined {
    return this.#byUser.get(owner);
  }

  /**
   * All of them or none.
   * @throws NotifyError resource_exhausted
   */
  put(recipients: readonly Recipient[], atMs: EpochMs): void {
    let bytes = 0;
    for (const recipient of recipients) {
      const before = this.#byUser.get(recipient);
      bytes += estimateRecipientBytes(recipient) - (before ? estimateRecipientBytes(before) : 0);
    }
    this.#room.claim(bytes);
    for (const recipient of recipients) {
      const { tenantId, addresses } = recipient;
      this.#byUser.set(recipient, recipient);
      for (const [channel, address] of Object.entries(addresses))
        this.#dead.revive({ tenantId, channel: channel as Channel, address }, atMs);
    }
  }

  /** @returns whether there was a record */
  remove(owner: UserKey): boolean {
    const recipient = this.#byUser.get(owner);
    if (recipient === undefined) return false;
    this.#room.release(estimateRecipientBytes(recipient));
    this.#byUser.delete(owner);
    return true;
  }

  clear(): void {
    this.#byUser.clear();
  }
}
