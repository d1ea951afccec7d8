import type { Clock } from '../ambient.ts';

/** The interval is cut into this many ticks, so that ten thousand heartbeats do not fall into one moment. */
const slots = 32;

/** A slot with so many members takes more only where no other has fewer. */
const crowd = 64;

/** So many groups are beaten at once: a beat asks the store, which may be slower than the ticks. */
const groupsAtOnce = 2;

/**
 * One timer for every session's heartbeat: each member is beaten once an interval, at its own slot of it. It stands
 * still while nobody is in it.
 */
export class HeartbeatWheel<Member> {
  readonly #members: Set<Member>[] = Array.from({ length: slots }, () => new Set());
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #beat: (members: readonly Member[]) => Promise<void>;
  /** Whose turn has come, while as many groups were being beaten as may be. They are the next group. */
  #waiting = new Set<Member>();
  #underWay = 0;
  #at = 0;
  #size = 0;
  #stop: (() => void) | undefined;

  /** @param beat told of all whose turn it is, together; resolves when it is done with them */
  constructor(clock: Clock, intervalMs: number, beat: (members: readonly Member[]) => Promise<void>) {
    this.#clock = clock;
    this.#tickMs = Math.max(1, Math.round(intervalMs / slots));
    this.#beat = beat;
  }

  /**
   * Beats the member once an interval from now on; where many come together, the first time sooner than that.
   * @returns takes it out again
   */
  add(member: Member): () => void {
    const slot = this.#roomiest();
    slot.add(member);
    this.#size += 1;
    this.#stop ??= this.#clock.after(this.#tickMs, () => this.#tick());
    return () => {
      if (!slot.delete(member)) return;
      this.#waiting.delete(member);
      this.#size -= 1;
      if (this.#size === 0) {
        this.#stop?.();
        this.#stop = undefined;
      }
    };
  }

  #roomiest(): Set<Member> {
    // the one just passed: its next turn is a whole interval away
    const passed = this.#members[this.#at] as Set<Member>;
    return passed.size < crowd
      ? passed
      : this.#members.reduce((least, slot) => (slot.size < least.size ? slot : least), passed);
  }

  #tick(): void {
    this.#at = (this.#at + 1) % slots;
    this.#stop = this.#clock.after(this.#tickMs, () => this.#tick());
    for (const member of this.#members[this.#at] as Set<Member>) this.#waiting.add(member);
    this.#beatWaiting();
  }

  #beatWaiting(): void {
    if (this.#waiting.size === 0 || this.#underWay >= groupsAtOnce) return;
    const members = [...this.#waiting];
    this.#waiting = new Set();
    this.#underWay += 1;
    const done = () => {
      this.#underWay -= 1;
      this.#beatWaiting();
    };
    this.#beat(members).then(done, done);
  }
}
