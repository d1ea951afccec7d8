import { type DestinationLookUp, markedChannels } from '../addresses.ts';
import type { Ambient } from '../ambient.ts';
import { ResultRoom, resultBytes } from '../answer-size.ts';
import type { Providers } from '../channel.ts';
import { announce } from '../dispatcher/announce.ts';
import type { Attempts } from '../dispatcher/attempts.ts';
import { invalidArgument, type Violation } from '../errors.ts';
import type { UserKey } from '../glossary.ts';
import type { LiveHub } from '../live/hub.ts';
import type { NewNotification, Store } from '../store.ts';
import { answer } from './answer.ts';
import type { CancelCommand, DataChangeCommand, NotifyAnswer, NotifyCommand } from './command.ts';
import { addressesToCheck, lookUpsOf, sendableChannels, suppressDead } from './destinations.ts';
import { attemptFirst } from './first-attempts.ts';
import { type Freshening, nothingFresh } from './fresh.ts';
import { goLive } from './live-items.ts';
import { distinct, type Known, nothingKnown, planNotifications } from './plan.ts';
import { isStored, refusal } from './refused-users.ts';
import { validateCancel, validateDataChange, validateNotify } from './validate.ts';

export interface NotifierSettings {
  /** Off: in-app is store-only. */
  readonly liveEnabled: boolean;
  /** How long a call waits for first attempts, in milliseconds. What it cuts off goes on. */
  readonly syncAttemptTimeoutMs: number;
  /** How long a call waits for a live stream to take an in-app item, in milliseconds. */
  readonly confirmTimeoutMs: number;
}

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
   * @param room what the answer has for results, where they are asked for
   * @throws NotifyError invalid_argument naming every violation, or that results would not fit; where the store refused some users, what it said of them
   *   (the others are stored, and a repeat is safe), such as resource_exhausted where it is full; unavailable
   */
  async notify(
    command: NotifyCommand,
    found: readonly Violation[] = [],
    room = new ResultRoom(),
  ): Promise<NotifyAnswer> {
    const violations = validateNotify(command);
    if (found.length + violations.length > 0) throw invalidArgument([...found, ...violations]);

    const userIds = distinct(command.userIds);
    const channels = sendableChannels(command, this.#providers);
    const lookUps = lookUpsOf(command, userIds, channels);
    const known = lookUps.length > 0 ? await this.#known(lookUps) : nothingKnown;
    const planned = planNotifications(command, userIds, known, this.#providers, this.#ambient);
    const expected = command.returnResults ? plannedBytes(planned) : 0;
    room.take(expected);
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
      const { clock } = this.#ambient;
      const { confirmTimeoutMs, syncAttemptTimeoutMs } = this.#settings;
      await Promise.all([
        goLive(this.#hub, clock, confirmTimeoutMs, live, changed),
        attemptFirst(this.#attempts, clock, syncAttemptTimeoutMs, sendable, changed, this.#failed),
      ]);
      fresh = changed;
    }
    if (stored.length < outcomes.length) throw refusal(command.userIds, userIds, outcomes);
    const answered = answer(stored, fresh, command);
    // a repeat answers all that is stored, which may be more channels than this call names
    if (command.returnResults) room.take(answeredBytes(answered) - expected, '; everything is stored');
    return answered;
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
      userIds: distinct(command.userIds),
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
    const owners = distinct(command.userIds).map((userId) => ({ tenantId, userId }));
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
}

/** What the results of new notifications will take: one for each channel. */
const plannedBytes = (planned: readonly NewNotification[]): number =>
  planned.reduce(
    (sum, { userId, deliveries }) =>
      sum + resultBytes(userId) * new Set(deliveries.map(({ channel }) => channel)).size,
    0,
  );

const answeredBytes = ({ results }: NotifyAnswer): number =>
  results.reduce((sum, { userId, reason }) => sum + resultBytes(userId, reason), 0);
