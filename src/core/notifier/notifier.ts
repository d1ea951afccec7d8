import { type DestinationLookUp, type KnownDestinations, markedChannels } from '../addresses.ts';
import type { Ambient } from '../ambient.ts';
import type { Providers } from '../channel.ts';
import { announce } from '../dispatcher/announce.ts';
import type { Attempts } from '../dispatcher/attempts.ts';
import { errorCodes, invalidArgument, NotifyError, publicError, type Violation } from '../errors.ts';
import type { Channel, Delivery, Notification, UserKey } from '../glossary.ts';
import type { LiveHub } from '../live/hub.ts';
import { bestStatus, inAppOf } from '../status.ts';
import type { CreateOutcome, NewNotification, Store, StoredOutcome } from '../store.ts';
import type {
  CancelCommand,
  DataChangeCommand,
  NotifyAnswer,
  NotifyCommand,
  NotifyResult,
} from './command.ts';
import { addressesToCheck, lookUpsOf, sendableChannels, suppressDead } from './destinations.ts';
import { planDeliveries } from './plan.ts';
import { validateCancel, validateDataChange, validateNotify } from './validate.ts';

export interface NotifierSettings {
  /** Off: in-app is store-only. */
  readonly liveEnabled: boolean;
  /** How long a call waits for first attempts, in milliseconds. What it cuts off goes on. */
  readonly syncAttemptTimeoutMs: number;
  /** How long a call waits for a live stream to take an in-app item, in milliseconds. */
  readonly confirmTimeoutMs: number;
}

/** What became of a delivery in this call, by delivery id; what is not in it is as it was stored. */
type Shown = Pick<Delivery, 'status' | 'reason' | 'dueAtMs'>;
type Fresh = ReadonlyMap<string, Shown>;
type Freshening = Map<string, Shown>;

const nothingFresh: Fresh = new Map();

/** Users' records and devices, by user id. */
type Known = ReadonlyMap<string, KnownDestinations | undefined>;

const nothingKnown: Known = new Map();

/** Takes a producer's call to its end: validate, plan, store, attempt, answer. */
export class Notifier {
  readonly #store: Store;
  readonly #hub: LiveHub;
  readonly #providers: Providers;
  readonly #attempts: Attempts;
  readonly #ambient: Ambient;
  readonly #settings: NotifierSettings;
  readonly #failed: (what: string, error: unknown) => void;

  /** @param failed told of errors that no caller is left to hear of */
  constructor(
    parts: { store: Store; hub: LiveHub; providers: Providers; attempts: Attempts; ambient: Ambient },
    settings: NotifierSettings,
    failed: (what: string, error: unknown) => void,
  ) {
    this.#store = parts.store;
    this.#hub = parts.hub;
    this.#providers = parts.providers;
    this.#attempts = parts.attempts;
    this.#ambient = parts.ambient;
    this.#settings = settings;
    this.#failed = failed;
  }

  /**
   * Stores a notification for every named user and attempts what is new at once.
   *
   * When it returns, every row that it counted is stored. Repeating it sends nothing again and answers the stored
   * counts, for the users that the call names.
   * @param found what was wrong already before the call got here, to be named together with the rest
   * @throws NotifyError invalid_argument naming every violation; where the store refused some users, what it said of them
   *   (the others are stored, and a repeat is safe), such as resource_exhausted where it is full; unavailable
   */
  async notify(command: NotifyCommand, found: readonly Violation[] = []): Promise<NotifyAnswer> {
    const violations = validateNotify(command);
    if (found.length + violations.length > 0) throw invalidArgument([...found, ...violations]);

    const userIds = distinct(command.userIds);
    const channels = sendableChannels(command, this.#providers);
    const lookUps = lookUpsOf(command, userIds, channels);
    const known = lookUps.length > 0 ? await this.#known(lookUps) : nothingKnown;
    const planned = this.#plan(command, userIds, known);
    const rows = channels.some((channel) => markedChannels.has(channel))
      ? await this.#withoutDead(planned)
      : planned;
    const outcomes = await this.#store.createNotifications(rows, this.#attempts.lease);

    const stored = outcomes.every(isStored) ? outcomes : outcomes.filter(isStored);
    const live = stored.filter((s) => s.created && this.#isLive(s.notification));
    const sendable = stored.filter((s) => s.attempt.length > 0);

    // most calls have neither, and are not made to wait a turn for it
    let fresh = nothingFresh;
    if (live.length > 0 || sendable.length > 0) {
      const changed: Freshening = new Map();
      await Promise.all([this.#goLive(live, changed), this.#send(sendable, changed)]);
      fresh = changed;
    }
    if (stored.length < outcomes.length) throw refusal(command.userIds, userIds, outcomes);
    return answer(stored, fresh, command);
  }

  /**
   * Stops what has not gone out yet of a notification, see Outbox.cancelNotification.
   * @returns per user and channel: how many had something left to stop
   * @throws NotifyError invalid_argument
   */
  async cancel(command: CancelCommand): Promise<number> {
    const violations = validateCancel(command);
    if (violations.length > 0) throw invalidArgument(violations);
    const { cancelled, changes } = await this.#store.cancelNotification({
      ...command,
      userIds: [...new Set(command.userIds)],
      atMs: BigInt(this.#ambient.clock.now()),
    });
    announce(this.#hub, changes);
    return cancelled;
  }

  /**
   * Hands a hint to the live sessions of some users.
   * @returns how many sessions it went to
   * @throws NotifyError invalid_argument
   */
  publishDataChange(command: DataChangeCommand): number {
    const violations = validateDataChange(command);
    if (violations.length > 0) throw invalidArgument(violations);
    const { tenantId, idempotencyKey, subjectRef, subjectType } = command;
    const owners = [...new Set(command.userIds)].map((userId) => ({ tenantId, userId }));
    return this.#hub.publishHint(owners, { idempotencyKey, subjectRef, subjectType });
  }

  #isLive(owner: UserKey): boolean {
    return this.#settings.liveEnabled && this.#hub.holds(owner);
  }

  /** What the store knows of some users, by user id. */
  async #known(lookUps: readonly DestinationLookUp[]): Promise<Known> {
    const found = await this.#store.destinations(lookUps);
    return new Map(lookUps.map(({ userId }, i) => [userId, found[i]]));
  }

  async #withoutDead(planned: readonly NewNotification[]): Promise<readonly NewNotification[]> {
    const addresses = addressesToCheck(planned);
    if (addresses.length === 0) return planned;
    return suppressDead(planned, addresses, await this.#store.deadAddresses(addresses));
  }

  #plan(command: NotifyCommand, userIds: readonly string[], known: Known): NewNotification[] {
    const { ids, clock } = this.#ambient;
    const { tenantId, content } = command;
    const channels = distinct(command.channels);
    const createdAtMs = BigInt(clock.now());
    const expired = content.expiresAtMs !== 0n && content.expiresAtMs <= createdAtMs;
    const appearsAtMs = command.sendAtMs > createdAtMs ? command.sendAtMs : 0n;
    return userIds.map((userId) => {
      const id = ids.next();
      return {
        tenantId,
        userId,
        id,
        content,
        createdAtMs,
        appearsAtMs,
        deliveries: planDeliveries(
          { channels, addresses: command.addresses, userId, id, known: known.get(userId), expired },
          this.#providers,
          ids,
        ),
      };
    });
  }

  /** Tells the live sessions of new items' users, and waits a little for one to take each. */
  async #goLive(live: readonly StoredOutcome[], fresh: Freshening): Promise<void> {
    const waits: Promise<void>[] = [];
    const giveUps: (() => void)[] = [];
    for (const { notification } of live) {
      const inApp = inAppOf(notification.deliveries);
      if (inApp !== undefined && notification.position > 0)
        waits.push(
          new Promise((resolve) => {
            const giveUp = this.#hub.whenTaken(notification.id, () => {
              fresh.set(inApp.id, { status: 'delivered', reason: '', dueAtMs: 0n });
              resolve();
            });
            giveUps.push(() => {
              giveUp();
              resolve();
            });
          }),
        );
      this.#hub.publish(notification);
    }
    if (waits.length === 0) return;
    const cancel = this.#ambient.clock.after(this.#settings.confirmTimeoutMs, () => {
      for (const giveUp of giveUps) giveUp();
    });
    await Promise.all(waits);
    cancel();
  }

  /**
   * Attempts what this call has to attempt, and waits for it up to the limit. Beyond, what has begun goes on, and what has not is
   * handed back: it is due for any replica's dispatcher.
   */
  async #send(sendable: readonly StoredOutcome[], fresh: Freshening): Promise<void> {
    const leaseToken = this.#attempts.lease.token;
    const jobs = sendable.flatMap(({ notification, attempt }) =>
      attempt.flatMap((id) => {
        const delivery = notification.deliveries.find((d) => d.id === id);
        return delivery ? [{ notification, delivery, leaseToken, crashes: 0 }] : [];
      }),
    );
    if (jobs.length === 0) return;
    const outcomes = jobs.map(async (job) => {
      const outcome = await this.#attempts.run(job);
      if (outcome !== undefined) fresh.set(outcome.deliveryId, outcome);
    });
    const inTime = await this.#within(this.#settings.syncAttemptTimeoutMs, Promise.all(outcomes));
    if (!inTime)
      this.#attempts.release(jobs).catch((error: unknown) => this.#failed('release leases', error));
  }

  /** @returns whether the work was done within a time, in milliseconds */
  #within(ms: number, work: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#ambient.clock.after(ms, () => resolve(false));
      void work.then(() => {
        cancel();
        resolve(true);
      });
    });
  }
}

function answer(
  stored: readonly StoredOutcome[],
  fresh: Fresh,
  { returnResults }: Pick<NotifyCommand, 'returnResults'>,
): NotifyAnswer {
  const counts = { delivered: 0, pending: 0, failed: 0, suppressed: 0 };
  const results: NotifyResult[] = [];
  for (const { notification, created, appearsAtMs } of stored)
    for (const { channel, status, reason, dueAtMs } of bestByChannel(notification, fresh)) {
      counts[status === 'acked' ? 'delivered' : status] += 1;
      if (returnResults)
        results.push({
          userId: notification.userId,
          id: notification.id,
          channel,
          status,
          reason,
          created,
          // a scheduled item's in-app delivery is due when the item appears
          dueAtMs: channel === 'in_app' && status === 'pending' ? appearsAtMs : dueAtMs,
        });
    }
  const { delivered, pending, failed, suppressed } = counts;
  return { delivered, pending, failed, suppressed, results };
}

/** What an answer tells of a delivery. */
type Best = Pick<Delivery, 'channel' | 'status' | 'reason' | 'dueAtMs'>;

/** The best delivery of each channel, in the order of the channels. */
function bestByChannel({ deliveries }: Notification, fresh: Fresh): Iterable<Best> {
  if (deliveries.length === 1 && fresh.size === 0) return deliveries;
  const best = new Map<Channel, Best>();
  for (const delivery of deliveries) {
    const { channel } = delivery;
    const { status, reason, dueAtMs } = fresh.get(delivery.id) ?? delivery;
    const before = best.get(channel);
    if (before === undefined || bestStatus([before.status, status]) !== before.status)
      best.set(channel, { channel, status, reason, dueAtMs });
  }
  return best.values();
}

/** Without repeats, in order. */
const distinct = <T>(items: readonly T[]): readonly T[] => (items.length > 1 ? [...new Set(items)] : items);

const isStored = (outcome: CreateOutcome): outcome is StoredOutcome => 'notification' in outcome;

/** When to come back where the store does not say. */
const fullRetryAfterMs = 60_000;

/**
 * What a call answers of which the store refused some rows: their own code where they agree.
 * @param userIds whom the outcomes are of: those that were named, without repeats
 */
function refusal(
  named: readonly string[],
  userIds: readonly string[],
  outcomes: readonly CreateOutcome[],
): NotifyError {
  const refused: Violation[] = [];
  const errors = outcomes.flatMap((outcome) => (isStored(outcome) ? [] : [publicError(outcome.error)]));
  const code = errors[0]?.code ?? 'internal';
  const agree = errors.every((error) => error.code === code);
  outcomes.forEach((outcome, i) => {
    if (isStored(outcome)) return;
    const field = `user_ids[${named.indexOf(userIds[i] ?? '')}]`;
    refused.push({ field, description: outcome.error.message });
  });
  const storedCount = outcomes.length - refused.length;
  const first = refused[0];
  const others = refused.length > 1 ? `, and ${refused.length - 1} more users` : '';
  const rest =
    storedCount > 0
      ? `; the other ${storedCount} were stored, and repeating the call with the same notification_id is safe`
      : '';
  // what does not fit will never, the rest may be tried again
  return new NotifyError(
    agree ? code : 'unavailable',
    `${first?.field}: ${first?.description}${others}${rest}`,
    {
      violations: refused.slice(0, 50),
      ...(errors.some((error) => errorCodes[error.code].retryable) && {
        retryAfterMs: Math.max(0, ...errors.map((error) => error.retryAfterMs ?? 0)) || fullRetryAfterMs,
      }),
      cause: errors[0]?.cause,
    },
  );
}
