import type { Job } from './outcome.ts';

/** Deliveries that must not be attempted now. They are handed back together, since a circuit that opens meets many at once. */
export class Refusals {
  readonly #handBack: (jobs: readonly Job[], afterMs: number) => void;
  #jobs = new Map<number, Job[]>();

  /** @param handBack takes those that were refused in one moment */
  constructor(handBack: (jobs: readonly Job[], afterMs: number) => void) {
    this.#handBack = handBack;
  }

  /** @param afterMs in how long it is due again, in milliseconds */
  add(job: Job, afterMs: number): void {
    if (this.#jobs.size === 0) queueMicrotask(() => this.#flush());
    const some = this.#jobs.get(afterMs);
    if (some === undefined) this.#jobs.set(afterMs, [job]);
    else some.push(job);
  }

  #flush(): void {
    const all = this.#jobs;
    this.#jobs = new Map();
    for (const [afterMs, jobs] of all) this.#handBack(jobs, afterMs);
  }
}
