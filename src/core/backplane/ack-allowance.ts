import type { Clock } from '../ambient.ts';
import type { UserKey } from '../glossary.ts';
import { userKey } from '../user-key.ts';

/** So many acknowledgements of one user are passed on within the window, in milliseconds. */
const acksPerWindow = 100;
const windowMs = 1_000;

/**
 * How many acknowledgements of a user the other replicas are told of. Each is told to all of them, and who acknowledges what nobody
 * holds must not keep them busy. One that is not told costs a hint's repeat.
 */
export class AckAllowance {
  readonly #clock: Clock;
  /** How many were passed on in this window, by user. */
  readonly #passed = new Map<string, number>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns whether one more may be passed on now */
  take(owner: UserKey): boolean {
    const key = userKey(owner);
    const passed = this.#passed.get(key) ?? 0;
    if (passed >= acksPerWindow) return false;
    this.#passed.set(key, passed + 1);
    this.#cancel ??= this.#clock.after(windowMs, () => {
      this.#cancel = undefined;
      this.#passed.clear();
    });
    return true;
  }

  close(): void {
    this.#cancel?.();
  }
}
