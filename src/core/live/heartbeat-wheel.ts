import type { Clock } from '../ambient.ts';

/** The interval is cut into this many ticks, so that ten thousand heartbeats do not fall into one moment. */
const slots = 32;

/**
 * One timer for every session's heartbeat: each member is beaten once an interval, at its own slot of it. It stands
 * still while nobody is in it.
 */
export class HeartbeatWheel<Member> {
  readonly #members: Set<Member>[] = Array.from({ length: slots }, () => new Set());
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #beat: (members: readonly Member[]) => void;
  #at = 0;
  #size = 0;
  #stop: (() => void) | undefined;

  /** @param beat told of all whose turn it is, together */
  constructor(clock: Clock, intervalMs: number, beat: (members: readonly Member[]) => void) {
    this.#clock = clock;
    this.#tickMs = Math.max(1, Math.round(intervalMs / slots));
    this.#beat = beat;
  }

  /**
   * Beats the member once an interval from now on.
   * @returns takes it out again
   */
  add(member: Member): () => void {
    // the slot just passed: its next turn is a whole interval away
    const slot = this.#members[this.#at] as Set<Member>;
    slot.add(member);
    this.#size += 1;
    this.#stop ??= this.#clock.after(this.#tickMs, () => this.#tick());
    return () => {
      if (!slot.delete(member)) return;
      this.#size -= 1;
      if (this.#size === 0) {
        this.#stop?.();
        this.#stop = undefined;
      }
    };
  }

  #tick(): void {
    this.#at = (this.#at + 1) % slots;
    this.#stop = this.#clock.after(this.#tickMs, () => this.#tick());
    const members = this.#members[this.#at] as Set<Member>;
    if (members.size > 0) this.#beat([...members]);
  }
}
