/** So many subscriptions in a row, different ones: a browser that subscribed with other keys proves nothing. */
const inARow = 5;

/**
 * Notices that push services do not take our keys any more. Web push has no circuit, since one push service says nothing of the
 * others, and endpoints are anybody's choice: so messages go on, and this alone tells an operator. It is said once.
 */
export class KeyWatch {
  readonly #tell: (news: 'rejected' | 'accepted') => void;
  readonly #rejected = new Set<string>();

  constructor(tell: (news: 'rejected' | 'accepted') => void) {
    this.#tell = tell;
  }

  accepted(): void {
    if (this.#rejected.size >= inARow) this.#tell('accepted');
    this.#rejected.clear();
  }

  /** @param endpoint the subscription's; it is not told */
  rejected(endpoint: string): void {
    if (this.#rejected.size >= inARow) return;
    this.#rejected.add(endpoint);
    if (this.#rejected.size === inARow) this.#tell('rejected');
  }
}
