import {
  type Address,
  type DeadAddress,
  type DeadAddressPage,
  type DeadAddressPlace,
  type DeadAddressQuery,
  markedChannels,
} from '../../../src/core/addresses.ts';
import type { EpochMs, Reason } from '../../../src/core/glossary.ts';
import { hashOf } from '../address-hash.ts';
import { estimateDeadAddressBytes } from './estimate.ts';
import type { Room } from './room.ts';

interface Mark extends DeadAddress {
  readonly hash: string;
  /** Since when it is alive again; undefined: it is dead. */
  readonly revivedAtMs: EpochMs | undefined;
}

/** The dead addresses of all tenants. One that was revived stays, so that a late report does not mark it anew. */
export class DeadTable {
  readonly #room: Room;
  /** By tenant, and in there by channel and hash. */
  readonly #tenants = new Map<string, Map<string, Mark>>();

  constructor(room: Room) {
    this.#room = room;
  }

  /**
   * See AddressBook.
   * @throws NotifyError resource_exhausted
   */
  mark(address: DeadAddress): void {
    if (!markedChannels.has(address.channel)) return;
    const before = this.#find(address);
    if (before === undefined) this.#room.claim(estimateDeadAddressBytes(address));
    if (before !== undefined && address.atMs <= (before.revivedAtMs ?? before.atMs)) return;
    const marks = this.#tenants.get(address.tenantId) ?? new Map<string, Mark>();
    marks.set(keyOf(address), { ...address, hash: hashOf(address), revivedAtMs: undefined });
    this.#tenants.set(address.tenantId, marks);
  }

  /** Why an address is dead; undefined: it is not. */
  reasonOf(address: Address): Reason | undefined {
    const mark = this.#tenants.size === 0 ? undefined : this.#find(address);
    return mark?.revivedAtMs === undefined ? mark?.reason : undefined;
  }

  /** @returns whether it was dead */
  revive(address: Address, atMs: EpochMs): boolean {
    const mark = this.#find(address);
    if (mark === undefined || mark.revivedAtMs !== undefined) return false;
    // a mark by a clock that is ahead of ours is not to come back
    const revivedAtMs = atMs > mark.atMs ? atMs : mark.atMs;
    this.#tenants.get(address.tenantId)?.set(keyOf(address), { ...mark, address: '', revivedAtMs });
    return true;
  }

  /** See AddressBook. It looks at every mark of the tenant: the memory store is small. */
  list({ tenantId, channel, after, limit }: DeadAddressQuery): DeadAddressPage {
    const marks = [...(this.#tenants.get(tenantId)?.values() ?? [])]
      .filter((mark) => mark.revivedAtMs === undefined && (channel ?? mark.channel) === mark.channel)
      .filter((mark) => after === undefined || byPlace(mark, after) < 0)
      .sort((a, b) => byPlace(b, a));
    const page = marks.slice(0, limit);
    const last = page.at(-1);
    return {
      addresses: page.map(({ hash, revivedAtMs, ...address }) => address),
      next:
        marks.length > limit && last
          ? { atMs: last.atMs, channel: last.channel, hash: last.hash }
          : undefined,
    };
  }

  clear(): void {
    this.#tenants.clear();
  }

  #find(address: Address): Mark | undefined {
    return this.#tenants.get(address.tenantId)?.get(keyOf(address));
  }
}

const keyOf = (address: Address): string => `${address.channel} ${hashOf(address)}`;

function byPlace(a: DeadAddressPlace, b: DeadAddressPlace): number {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs ? -1 : 1;
  const [keyA, keyB] = [`${a.channel} ${a.hash}`, `${b.channel} ${b.hash}`];
  return keyA === keyB ? 0 : keyA < keyB ? -1 : 1;
}
