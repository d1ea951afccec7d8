import http from 'node:http';

/**
 * One page's EventSource over its whole life: whatever ends a connection, the next one resumes from the last id that it saw, at
 * any replica.
 */
export class StreamChain {
  readonly user: string;
  /** Positions of the items, as they came. */
  readonly positions: number[] = [];
  /** Connections that were opened. */
  opened = 0;
  /** `reset` events: something that should not happen here. */
  resets = 0;
  readonly #bases: () => string;
  readonly #random: () => number;
  #lastEventId = '0';
  #flapMs: number;
  #request: http.ClientRequest | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** Of the connection that is open: since when, and how many events came on it. */
  #sinceMs = 0;
  #heard = 0;
  /** One connection has ended, and the next one comes soon. */
  #isBetween = false;

  /**
   * @param base where to connect to next
   * @param flapMs the page goes away by itself after up to this long; 0: it stays
   */
  constructor(user: string, base: () => string, random: () => number, flapMs: number) {
    this.user = user;
    this.#bases = base;
    this.#random = random;
    this.#flapMs = flapMs;
    this.#connect();
  }

  /** From now on it goes away only when it is sent away. */
  stay(): void {
    this.#flapMs = 0;
    clearTimeout(this.#timer);
    if (this.#isBetween) this.#connect();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#request?.destroy();
  }

  /** For whoever looks into a failure. */
  describe(): string {
    const [last] = this.positions.slice(-1);
    const at = this.#isBetween
      ? 'between two connections'
      : `for ${Math.round(performance.now() - this.#sinceMs)} ms`;
    return `${this.user} has ${this.positions.length} items up to ${last}, on connection ${this.opened} ${at}, ${this.#heard} events of it`;
  }

  #connect(): void {
    this.opened += 1;
    this.#sinceMs = performance.now();
    this.#heard = 0;
    this.#isBetween = false;
    let isOver = false;
    const over = () => {
      if (isOver || this.#isClosed) return;
      isOver = true;
      clearTimeout(this.#timer);
      request.destroy();
      this.#isBetween = true;
      this.#timer = setTimeout(() => this.#connect(), 10 + this.#random() * 100);
    };
    const request = http.get(`${this.#bases()}/v1/events`, {
      agent: false,
      headers: { authorization: `Bearer dev:${this.user}:demo`, 'last-event-id': this.#lastEventId },
    });
    this.#request = request;
    // one that stays is not to be saved by its next connection
    const lifeMs = this.#flapMs > 0 ? this.#random() * this.#flapMs : 60_000;
    this.#timer = setTimeout(over, lifeMs);
    request.on('error', over);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        // what arrives after the page has gone is not seen by it
        if (isOver || this.#isClosed) return;
        text += chunk;
        for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
          this.#event(text.slice(0, end));
          text = text.slice(end + 2);
        }
      });
      response.on('error', over);
      response.on('close', over);
    });
  }

  #event(block: string): void {
    this.#heard += 1;
    const id = /^id: (.*)$/m.exec(block)?.[1];
    const kind = /^event: (.*)$/m.exec(block)?.[1];
    if (id !== undefined) this.#lastEventId = id;
    if (kind === 'reset') this.resets += 1;
    if (kind === 'notification') this.positions.push(Number(/"position":"(\d+)"/.exec(block)?.[1]));
  }
}
