import { type Ambient, isUuid } from './ambient.ts';
import { fittingDeliveries } from './answer-size.ts';
import type { DeliveryPlace, DeliveryQuery, DeliveryRecord } from './delivery-log.ts';
import { invalidArgument, type Violation } from './errors.ts';
import type { Channel } from './glossary.ts';
import { limits, Violations } from './notifier/validate.ts';
import { logPages, pageLimit } from './page-limit.ts';
import type { Store } from './store.ts';

/** What an operator asks of the delivery log. */
export interface DeliveriesQuery extends Omit<DeliveryQuery, 'after'> {
  /** '' for the first page. */
  readonly cursor: string;
}

export interface DeliveriesPage {
  readonly deliveries: readonly DeliveryRecord[];
  /** '' on the last page. */
  readonly nextCursor: string;
}

/** Which failed deliveries are to be sent again. */
export interface RetryCommand {
  readonly tenantId: string;
  readonly ids: readonly string[];
  readonly channel: Channel | undefined;
  readonly provider: string;
  readonly sinceMs: bigint;
  readonly untilMs: bigint;
}

/** Ids of one RetryDeliveries call. */
const retryIds = 1_000;
/** Deliveries that are sent again follow one another at this pace, and all of them within this time, in milliseconds. */
const retrySpacingMs = 20;
const retryLongestMs = 3_600_000;

/** What operators do with deliveries: look them up, and send failed ones again. */
export class Deliveries {
  readonly #store: Store;
  readonly #due: () => void;
  readonly #ambient: Ambient;

  /** @param due tells the dispatchers that something is due */
  constructor(store: Store, due: () => void, ambient: Ambient) {
    this.#store = store;
    this.#due = due;
    this.#ambient = ambient;
  }

  /** One page, newest notification first; fewer than asked for where they would not fit an answer. @throws NotifyError invalid_argument */
  async list(query: DeliveriesQuery): Promise<DeliveriesPage> {
    const v = new Violations();
    v.text('tenant_id', query.tenantId, limits.idBytes, true);
    v.text('user_id', query.userId, limits.idBytes);
    v.text('notification_id', query.notificationId, limits.idBytes);
    validateSpan(v, query.sinceMs, query.untilMs);
    const after = decodePlace(query.cursor, v.found);
    if (v.found.length > 0) throw invalidArgument(v.found);
    let limit = pageLimit(query.limit, logPages);
    let page = await this.#store.listDeliveries({ ...query, after, limit });
    // only long destinations come to so much, which are rare: the store is asked for less, and tells where the next page begins
    for (let fit = fittingDeliveries(page.deliveries); fit < page.deliveries.length; ) {
      limit = fit;
      page = await this.#store.listDeliveries({ ...query, after, limit });
      fit = fittingDeliveries(page.deliveries);
    }
    return { deliveries: page.deliveries, nextCursor: page.next ? encodePlace(page.next) : '' };
  }

  /** One delivery with every attempt. @throws NotifyError not_found; invalid_argument */
  async get(tenantId: string, id: string): Promise<DeliveryRecord> {
    const v = new Violations();
    v.text('tenant_id', tenantId, limits.idBytes, true);
    v.present('id', id);
    if (v.found.length > 0) throw invalidArgument(v.found);
    return this.#store.getDelivery(tenantId, id);
  }

  /**
   * Makes failed deliveries due again, spread over time, with a new horizon.
   * @returns how many
   * @throws NotifyError invalid_argument
   */
  async retry({ tenantId, ids, channel, provider, sinceMs, untilMs }: RetryCommand): Promise<number> {
    const v = new Violations();
    v.text('tenant_id', tenantId, limits.idBytes, true);
    v.text('provider', provider, limits.idBytes);
    validateSpan(v, sinceMs, untilMs);
    if (ids.length > retryIds)
      v.add('ids', `must be at most ${retryIds.toLocaleString('en')}; split the call`);
    if (ids.length === 0 && channel === undefined) v.add('channel', 'must be named where there are no ids');
    if (ids.length > 0 && (channel !== undefined || provider !== '' || sinceMs !== 0n || untilMs !== 0n))
      v.add('ids', 'must stand alone, without channel, provider, since_ms and until_ms');
    if (v.found.length > 0) throw invalidArgument(v.found);
    const which = channel === undefined ? { ids } : { channel, provider, sinceMs, untilMs };
    const retried = await this.#store.retryDeliveries({
      tenantId,
      atMs: BigInt(this.#ambient.clock.now()),
      spacingMs: retrySpacingMs,
      longestMs: retryLongestMs,
      ...which,
    });
    if (retried > 0) this.#due();
    return retried;
  }
}

function validateSpan(v: Violations, sinceMs: bigint, untilMs: bigint): void {
  for (const [field, at] of [
    ['since_ms', sinceMs],
    ['until_ms', untilMs],
  ] as const)
    if (at < 0n) v.add(field, 'must be UTC epoch milliseconds, or 0 for no bound');
  if (sinceMs > 0n && untilMs > 0n && untilMs <= sinceMs) v.add('until_ms', 'must be later than since_ms');
}

const encodePlace = ({ id, ordinal }: DeliveryPlace): string =>
  Buffer.from(`d1.${ordinal}.${id}`).toString('base64url');

function decodePlace(cursor: string, violations: Violation[]): DeliveryPlace | undefined {
  if (cursor === '') return undefined;
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const [, ordinal, id] = /^d1\.(\d{1,5})\.(.{36})$/.exec(text) ?? [];
  if (ordinal !== undefined && id !== undefined && isUuid(id)) return { ordinal: Number(ordinal), id };
  violations.push({
    field: 'cursor',
    description: 'is not one that this service gave; pass next_cursor of the previous page, or nothing',
  });
  return undefined;
}
