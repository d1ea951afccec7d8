import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { call, procedures } from '../../support/build.ts';

export interface LoadOptions {
  /** Where calls may go; asked anew for each. */
  readonly targets: () => readonly string[];
  /** Calls under way at a time. */
  readonly callers?: number;
  /** Recipients of each call: one email and one inbox item each. */
  readonly recipients?: number;
  /** Uniform in [0, 1): which target, and which calls are scheduled for a little later. */
  readonly random?: () => number;
  /** The pause of a caller between two calls, in milliseconds. */
  readonly pauseMs?: number;
  /** Random bytes in each text, which take room on a disk. */
  readonly bodyBytes?: number;
}

/** An answer that was no acknowledgement. */
export interface Refusal {
  readonly status: number;
  readonly code: unknown;
  readonly retryAfter: string | null;
  readonly tookMs: number;
  /** When it was answered, by performance.now(). */
  readonly atMs: number;
}

const emailAndInbox = ['DELIVERY_CHANNEL_IN_APP', 'DELIVERY_CHANNEL_EMAIL'];

/** Who a call of a given number is for, of `recipients` for each call. Few enough that calls meet in a user's inbox. */
export const recipientsOf = (call: number, recipients: number): string[] =>
  Array.from({ length: recipients }, (_, i) => `user-${(call * recipients + i) % 60}`);

/** The body of a Notify call by email and inbox. */
export const notifyBody = (notificationId: string, userIds: readonly string[], sendAtMs = 0) => ({
  tenantId: 'demo',
  notificationId,
  userIds,
  channels: emailAndInbox,
  addresses: Object.fromEntries(userIds.map((id) => [id, { byChannel: { email: `${id}@example.org` } }])),
  title: `title of ${notificationId}`,
  ...(sendAtMs > 0 && { sendAtMs: String(sendAtMs) }),
});

/** Producers that call Notify without a pause, and repeat a call that failed with the same notification_id until it is taken. */
export class Load {
  /** What a call acknowledged, by notification_id: its recipients. */
  readonly acknowledged = new Map<string, readonly string[]>();
  readonly refusals: Refusal[] = [];
  /** Calls that broke off without an answer. */
  broken = 0;
  /** How long acknowledged calls took, in milliseconds. */
  readonly tookMs: number[] = [];
  readonly #options: Required<LoadOptions>;
  readonly #work: Promise<unknown>;
  /** When each call that has no answer yet began, by performance.now(). */
  readonly #open = new Set<{ readonly sinceMs: number }>();
  readonly #abandoned = new AbortController();
  #running = true;
  #count = 0;

  /** It ends with the test, whatever became of that. */
  constructor(t: Pick<TestContext, 'after'>, options: LoadOptions) {
    this.#options = { callers: 8, recipients: 2, random: Math.random, pauseMs: 20, bodyBytes: 0, ...options };
    this.#work = Promise.all(Array.from({ length: this.#options.callers }, () => this.#produce()));
    t.after(async () => {
      this.#running = false;
      this.#abandoned.abort();
      await this.#work;
    });
  }

  /** Begins no new call, and resolves when all that began are acknowledged. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#work;
  }

  /** Deliveries by email that have to arrive. */
  get expected(): number {
    let sum = 0;
    for (const users of this.acknowledged.values()) sum += users.length;
    return sum;
  }

  /** How long the call waits that has waited longest for an answer, in milliseconds. */
  get oldestWaitMs(): number {
    const since = Math.min(...[...this.#open].map(({ sinceMs }) => sinceMs));
    return Math.max(0, performance.now() - since);
  }

  async #produce(): Promise<void> {
    const { recipients, random, pauseMs, bodyBytes } = this.#options;
    while (this.#running) {
      const number = this.#count++;
      const users = recipientsOf(number, recipients);
      // some are for later, so that the background work has something to do
      const sendAtMs = random() < 0.25 ? Date.now() + 300 : 0;
      const text = randomBytes(bodyBytes).toString('base64url');
      const body = { ...notifyBody(`n-${number}`, users, sendAtMs), body: text };
      while (!(await this.#try(body))) {
        if (this.#abandoned.signal.aborted) return;
        await pause(50 + 50 * random());
      }
      this.acknowledged.set(`n-${number}`, users);
      if (pauseMs > 0) await pause(pauseMs * random());
    }
  }

  async #try(body: unknown): Promise<boolean> {
    const targets = this.#options.targets();
    const target = targets[Math.floor(this.#options.random() * targets.length)];
    if (target === undefined) return false;
    const startedMs = performance.now();
    const open = { sinceMs: startedMs };
    this.#open.add(open);
    try {
      const {
        status,
        headers,
        body: answer,
      } = await call(target, procedures.notify, body, {}, this.#abandoned.signal);
      const atMs = performance.now();
      const tookMs = atMs - startedMs;
      if (status === 200) this.tookMs.push(tookMs);
      else
        this.refusals.push({
          status,
          code: answer.code,
          retryAfter: headers.get('retry-after'),
          tookMs,
          atMs,
        });
      return status === 200;
    } catch {
      this.broken += 1;
      return false;
    } finally {
      this.#open.delete(open);
    }
  }
}
