import { type DeadAddress, type DeadAddressPlace, markedChannels, type Recipient } from '../addresses.ts';
import type { Ambient } from '../ambient.ts';
import { invalidArgument, type Violation } from '../errors.ts';
import type { Channel, UserKey } from '../glossary.ts';
import type { LiveHub } from '../live/hub.ts';
import { limits, Violations } from '../notifier/validate.ts';
import { logPages, pageLimit } from '../page-limit.ts';
import type { Store } from '../store.ts';
import type { DeadAddressesQuery, RecipientDraft } from './command.ts';
import { markedWords, validateRecipient } from './validate.ts';

export interface DeadAddressesPage {
  readonly addresses: readonly DeadAddress[];
  /** '' on the last page. */
  readonly nextCursor: string;
}

/** What backends keep about their users, and what is known of addresses. */
export class Recipients {
  readonly #store: Store;
  readonly #hub: Pick<LiveHub, 'userErased'>;
  readonly #ambient: Pick<Ambient, 'clock'>;

  constructor(store: Store, hub: Pick<LiveHub, 'userErased'>, ambient: Pick<Ambient, 'clock'>) {
    this.#store = store;
    this.#hub = hub;
    this.#ambient = ambient;
  }

  /** Stores a record in place of the whole previous one. @throws NotifyError invalid_argument */
  put(tenantId: string, draft: RecipientDraft | undefined): Promise<void> {
    const missing = { field: 'recipient', description: 'must be given' };
    return this.#put(tenantId, draft === undefined ? [] : [draft], () => 'recipient', missing);
  }

  /** The same for up to 1,000 at once: all of them or none. @throws NotifyError invalid_argument */
  putAll(tenantId: string, drafts: readonly RecipientDraft[]): Promise<void> {
    const missing = { field: 'recipients', description: 'must hold at least one recipient' };
    return this.#put(tenantId, drafts, (i) => `recipients[${i}]`, missing);
  }

  /** @throws NotifyError not_found; invalid_argument */
  async get(owner: UserKey): Promise<Recipient> {
    this.#check(owner);
    return this.#store.getRecipient(owner);
  }

  /**
   * Forgets everything about a user, and tells their streams.
   * @returns as of AddressBook.eraseUser
   * @throws NotifyError invalid_argument
   */
  async erase(owner: UserKey): Promise<number> {
    this.#check(owner);
    const erased = await this.#store.eraseUser(owner);
    // whatever was stored meanwhile is to come to their next streams
    this.#hub.userErased(owner, 0);
    return erased;
  }

  /** One page of dead addresses, the latest mark first. @throws NotifyError invalid_argument */
  async listDead({ tenantId, channel, cursor, limit }: DeadAddressesQuery): Promise<DeadAddressesPage> {
    const v = new Violations();
    v.text('tenant_id', tenantId, limits.idBytes, true);
    if (channel !== undefined) requireMarked(v, channel);
    const after = decodePlace(cursor, v.found);
    if (v.found.length > 0) throw invalidArgument(v.found);
    const page = await this.#store.listDeadAddresses({
      tenantId,
      channel,
      after,
      limit: pageLimit(limit, logPages),
    });
    return { addresses: page.addresses, nextCursor: page.next ? encodePlace(page.next) : '' };
  }

  /**
   * Takes an address's mark away: it is sent to again.
   * @returns whether it had one
   * @throws NotifyError invalid_argument
   */
  async revive(tenantId: string, channel: Channel | undefined, address: string): Promise<boolean> {
    const v = new Violations();
    v.text('tenant_id', tenantId, limits.idBytes, true);
    requireMarked(v, channel);
    v.text('address', address, limits.addressBytes, true);
    if (channel === undefined || v.found.length > 0) throw invalidArgument(v.found);
    return this.#store.reviveAddress({ tenantId, channel, address }, BigInt(this.#ambient.clock.now()));
  }

  /** @param missing what is wrong where there is no draft */
  async #put(
    tenantId: string,
    drafts: readonly RecipientDraft[],
    fieldOf: (i: number) => string,
    missing: Violation,
  ): Promise<void> {
    const v = new Violations();
    v.text('tenant_id', tenantId, limits.idBytes, true);
    if (drafts.length === 0) v.add(missing.field, missing.description);
    const zones = new Map<string, boolean>();
    const first = new Map<string, number>();
    drafts.forEach((draft, i) => {
      validateRecipient(v, fieldOf(i), draft, zones);
      const before = first.get(draft.userId);
      if (before === undefined) first.set(draft.userId, i);
      else v.add(`${fieldOf(i)}.user_id`, `is that of ${fieldOf(before)} too; name each user once`);
    });
    if (v.found.length > 0) throw invalidArgument(v.found);
    await this.#store.putRecipients(
      drafts.map((draft) => ({ ...draft, tenantId })),
      BigInt(this.#ambient.clock.now()),
    );
  }

  #check({ tenantId, userId }: UserKey): void {
    const v = new Violations();
    v.text('tenant_id', tenantId, limits.idBytes, true);
    v.text('user_id', userId, limits.idBytes, true);
    if (v.found.length > 0) throw invalidArgument(v.found);
  }
}

function requireMarked(v: Violations, channel: Channel | undefined): void {
  if (channel === undefined || !markedChannels.has(channel))
    v.add('channel', `must be one whose addresses can be dead: ${markedWords}`);
}

const encodePlace = ({ atMs, channel, hash }: DeadAddressPlace): string =>
  Buffer.from(`a1.${atMs}.${channel}.${hash}`).toString('base64url');

function decodePlace(cursor: string, violations: Violation[]): DeadAddressPlace | undefined {
  if (cursor === '') return undefined;
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const [, atMs, word = '', hash] = /^a1\.(\d{1,18})\.([a-z]{1,20})\.([0-9a-f]{64})$/.exec(text) ?? [];
  const channel = [...markedChannels].find((marked) => marked === word);
  if (atMs !== undefined && hash !== undefined && channel !== undefined)
    return { atMs: BigInt(atMs), channel, hash };
  violations.push({
    field: 'cursor',
    description: 'is not one that this service gave; pass next_cursor of the previous page, or nothing',
  });
  return undefined;
}
