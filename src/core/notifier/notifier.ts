import type { Ambient } from '../ambient.ts';
import { invalidArgument, NotifyError, type Violation } from '../errors.ts';
import type { Channel, Delivery, DeliveryStatus, Device, Notification, UserKey } from '../glossary.ts';
import type { LiveHub } from '../live/hub.ts';
import { bestStatus, inAppOf } from '../status.ts';
import type { NewNotification, Outcome, Store, StoredOutcome } from '../store.ts';
import type { Attempts } from './attempts.ts';
import type { DataChangeCommand, NotifyAnswer, NotifyCommand, NotifyResult } from './command.ts';
import { needsDevices, type Providers, planDeliveries } from './plan.ts';
import { validateDataChange, validateNotify } from './validate.ts';

export interface NotifierSettings {
  /** Off: in-app is store-only. */
  readonly liveEnabled: boolean;
  /** How long a call waits for first attempts, in milliseconds. What it cuts off goes on. */
  readonly syncAttemptTimeoutMs: number;
  /** How long a call waits for a live stream to take an in-app item, in milliseconds. */
  readonly confirmTimeoutMs: number;
}

/** What became of a delivery in this call, by delivery id; what is not in it is as it was stored. */
type Fresh = Map<string, Pick<Outcome, 'status' | 'reason'>>;

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
   * @throws NotifyError invalid_argument naming every violation; resource_exhausted where the store is full for some
   *   users (the others are stored, and a repeat is safe); unavailable
   */
  async notify(command: NotifyCommand, found: readonly Violation[] = []): Promise<NotifyAnswer> {
    const violations = [...found, ...validateNotify(command)];
    if (violations.length > 0) throw invalidArgument(violations);

    const userIds = command.userIds.length === 1 ? command.userIds : [...new Set(command.userIds)];
    const rows = await this.#plan({ ...command, channels: [...new Set(command.channels)] }, userIds);
    const outcomes = await this.#store.createNotifications(rows);

    const stored: StoredOutcome[] = [];
    const refused: Violation[] = [];
    outcomes.forEach((outcome, i) => {
      if ('notification' in outcome) stored.push(outcome);
      else
        refused.push({
          field: `user_ids[${command.userIds.indexOf(userIds[i] ?? '')}]`,
          description: outcome.error.message,
        });
    });

    const fresh: Fresh = new Map();
    // most calls have neither, and are not made to wait a turn for it
    const live = stored.filter((s) => s.created && this.#isLive(s.notification));
    const sendable = stored.filter((s) => s.attempt.length > 0);
    if (live.length > 0 || sendable.length > 0)
      await Promise.all([this.#goLive(live, fresh), this.#send(sendable, fresh)]);
    if (refused.length > 0) throw full(refused, stored.length);
    return answer(stored, fresh, command.returnResults);
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

  async #plan(command: NotifyCommand, userIds: readonly string[]): Promise<NewNotification[]> {
    const { ids, clock } = this.#ambient;
    const { tenantId, content } = command;
    const now = clock.now();
    const createdAtMs = BigInt(now);
    const expired = content.expiresAtMs !== 0n && content.expiresAtMs <= createdAtMs;
    const none: readonly Device[] = [];
    const devices = needsDevices(command, this.#providers)
      ? await Promise.all(userIds.map((userId) => this.#store.listDevices({ tenantId, userId })))
      : undefined;
    return userIds.map((userId, i) => ({
      tenantId,
      userId,
      id: ids.next(),
      content,
      createdAtMs,
      deliveries: planDeliveries(command, userId, devices?.[i] ?? none, this.#providers, expired, ids),
    }));
  }

  /** Tells the live sessions of new items' users, and waits a little for one to take each. */
  async #goLive(live: readonly StoredOutcome[], fresh: Fresh): Promise<void> {
    const waits: Promise<void>[] = [];
    const giveUps: (() => void)[] = [];
    for (const { notification } of live) {
      const inApp = inAppOf(notification.deliveries);
      if (inApp !== undefined && notification.position > 0)
        waits.push(
          new Promise((resolve) => {
            const giveUp = this.#hub.whenTaken(notification.id, () => {
              fresh.set(inApp.id, { status: 'delivered', reason: '' });
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

  /** Attempts what this call has to attempt, and waits for it up to the limit. */
  async #send(sendable: readonly StoredOutcome[], fresh: Fresh): Promise<void> {
    const jobs: Promise<Outcome>[] = [];
    for (const { notification, attempt } of sendable)
      for (const id of attempt) {
        const delivery = notification.deliveries.find((d) => d.id === id);
        const provider = delivery && this.#providers.get(delivery.channel);
        if (delivery && provider) jobs.push(this.#attempts.attempt(provider, notification, delivery));
      }
    if (jobs.length === 0) return;
    const inTime: Outcome[] = [];
    let waiting = true;
    for (const job of jobs)
      void job.then((outcome) => {
        if (waiting) inTime.push(outcome);
        else this.#record([outcome]).catch((error) => this.#failed('record outcome', error));
      });
    await Promise.race([Promise.all(jobs), this.#pause(this.#settings.syncAttemptTimeoutMs)]);
    waiting = false;
    await this.#record(inTime);
    for (const { deliveryId, status, reason } of inTime) fresh.set(deliveryId, { status, reason });
  }

  #record(outcomes: readonly Outcome[]): Promise<void> {
    return outcomes.length === 0 ? Promise.resolve() : this.#store.recordOutcomes(outcomes);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#ambient.clock.after(ms, resolve);
    });
  }
}

function answer(stored: readonly StoredOutcome[], fresh: Fresh, returnResults: boolean): NotifyAnswer {
  const counts = { delivered: 0, pending: 0, failed: 0, suppressed: 0 };
  const results: NotifyResult[] = [];
  for (const { notification, created } of stored)
    for (const [channel, best] of bestByChannel(notification, fresh)) {
      counts[best.status === 'acked' ? 'delivered' : best.status] += 1;
      if (returnResults)
        results.push({
          userId: notification.userId,
          id: notification.id,
          channel,
          status: best.status,
          reason: best.reason,
          created,
          dueAtMs: 0n,
        });
    }
  return { ...counts, results };
}

/** The best delivery of each channel, in the order of the channels. */
function bestByChannel(
  notification: Notification,
  fresh: Fresh,
): Map<Channel, { status: DeliveryStatus; reason: string }> {
  const best = new Map<Channel, { status: DeliveryStatus; reason: string }>();
  for (const delivery of notification.deliveries) {
    const now: Pick<Delivery, 'status' | 'reason'> = fresh.get(delivery.id) ?? delivery;
    const before = best.get(delivery.channel);
    if (before === undefined || bestStatus([before.status, now.status]) !== before.status)
      best.set(delivery.channel, { status: now.status, reason: now.reason });
  }
  return best;
}

function full(refused: readonly Violation[], storedCount: number): NotifyError {
  const first = refused[0];
  const others = refused.length > 1 ? `, and ${refused.length - 1} more users` : '';
  const rest =
    storedCount > 0
      ? `; the other ${storedCount} were stored, and repeating the call with the same notification_id is safe`
      : '';
  return new NotifyError('resource_exhausted', `${first?.field}: ${first?.description}${others}${rest}`, {
    violations: refused.slice(0, 50),
    retryAfterMs: 60_000,
  });
}
