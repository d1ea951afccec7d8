interface Flight<T> {
  /** For those who asked after this read began: it might not see what they wrote before. */
  next: { readonly answer: Promise<T>; start(): void } | undefined;
}

/**
 * Lets callers who ask for the same thing at the same time share one read: a user's tabs and devices all fetch the inbox
 * again after a restart or a change. Nobody gets an answer from a read that began before the question; who comes while one
 * is under way waits for the next, together with all others who came meanwhile.
 */
export class SharedReads<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** @param key says everything that the answer depends on but the time */
  read(key: string, run: () => Promise<T>): Promise<T> {
    const flight = this.#flights.get(key);
    if (flight === undefined) return this.#fly(key, run);
    flight.next ??= this.#later(key, run);
    return flight.next.answer;
  }

  async #fly(key: string, run: () => Promise<T>): Promise<T> {
    const flight: Flight<T> = { next: undefined };
    this.#flights.set(key, flight);
    try {
      return await run();
    } finally {
      this.#flights.delete(key);
      flight.next?.start();
    }
  }

  #later(key: string, run: () => Promise<T>): NonNullable<Flight<T>['next']> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    return { answer: promise, start: () => this.#fly(key, run).then(resolve, reject) };
  }
}
