interface Waiting<In, Out> {
  readonly item: In;
  readonly weight: number;
  readonly resolve: (out: Out) => void;
  readonly reject: (error: unknown) => void;
}

export interface CoalesceOptions<In> {
  /** Batches under way at the same time, at most. */
  readonly concurrency: number;
  /** The next batch does not wait for one that is under way once it has gathered this weight, or this time has passed. */
  readonly ahead?: { readonly weight: number; readonly afterMs: number };
  /** How much of a batch an item takes. */
  readonly weigh: (item: In) => number;
  /** A batch is full at this; an item that is heavier goes alone. */
  readonly batchWeight: number;
}

/**
 * Gathers calls while earlier ones are being written (group commit): a call that comes alone goes at once, and the more come
 * at a time, the larger the batches. So latency at low load is that of one write, and throughput at high load a multiple.
 */
export class Coalescer<In, Out> {
  readonly #flush: (items: readonly In[]) => Promise<readonly Out[]>;
  readonly #options: CoalesceOptions<In>;
  #waiting: Waiting<In, Out>[] = [];
  #running = 0;
  #weight = 0;
  #scheduled = false;
  #timer: NodeJS.Timeout | undefined;
  #idle: (() => void)[] = [];

  /** @param flush writes some items and answers one result for each; what it throws fails all of them */
  constructor(flush: (items: readonly In[]) => Promise<readonly Out[]>, options: CoalesceOptions<In>) {
    this.#flush = flush;
    this.#options = options;
  }

  submit(item: In): Promise<Out> {
    return new Promise((resolve, reject) => {
      const weight = this.#options.weigh(item);
      this.#waiting.push({ item, weight, resolve, reject });
      this.#weight += weight;
      this.#schedule();
    });
  }

  /** Resolves when nothing is waiting or under way. */
  async settled(): Promise<void> {
    if (this.#running > 0 || this.#waiting.length > 0)
      await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** After the calls that arrive in the same turn of the event loop. */
  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#options.concurrency) return;
    if (this.#running > 0 && !this.#goesAhead()) return;
    this.#scheduled = true;
    setImmediate(() => this.#start());
  }

  #start(): void {
    this.#scheduled = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length > 0) void this.#run(this.#take());
    if (this.#waiting.length > 0) this.#schedule();
  }

  /** Whether what waits may be written beside what is under way; if not, it may after a while. */
  #goesAhead(): boolean {
    const { ahead } = this.#options;
    if (ahead === undefined || this.#weight >= ahead.weight) return true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#scheduled || this.#running >= this.#options.concurrency) return;
      this.#start();
    }, ahead.afterMs);
    return false;
  }

  #take(): Waiting<In, Out>[] {
    let weight = 0;
    let count = 0;
    for (const { weight: next } of this.#waiting) {
      if (count > 0 && weight + next > this.#options.batchWeight) break;
      weight += next;
      count++;
    }
    this.#weight = count === this.#waiting.length ? 0 : this.#weight - weight;
    return this.#waiting.splice(0, count);
  }

  async #run(batch: readonly Waiting<In, Out>[]): Promise<void> {
    this.#running++;
    try {
      const results = await this.#flush(batch.map(({ item }) => item));
      batch.forEach(({ resolve, reject }, i) => {
        if (i in results) resolve(results[i] as Out);
        else reject(new Error('a batch was written without a result for each item'));
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.#running--;
      if (this.#waiting.length > 0) this.#schedule();
      else if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }
}
