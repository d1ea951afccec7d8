/** How a server answers: nothing is known yet; in time; or it keeps attempts waiting. */
export type Pace = 'unknown' | 'prompt' | 'slow';

/** What a lane knows of one server that it asks, or that something waits for. */
export interface Server<T, L> {
  readonly name: string;
  /** Its places: attempts that are under way, or about to begin. */
  held: number;
  /** Those of them that have been under way for too long. */
  late: number;
  /** How many wait for it. */
  waiting: number;
  pace: Pace;
  /** When the last that was put off comes back. */
  backAtMs: number;
  /** What waits for it, by tenant; the one whose last turn at it was the longest ago is the first. */
  readonly lines: Map<T, L>;
}

export interface ServerLimits {
  /** Places of the lane. */
  readonly total: number;
  /** Places of one that is slow, or not known yet. All slow ones together leave as many to others. */
  readonly share: number;
  /** Places of one that has shown that it answers in time. */
  readonly atOnce: number;
  /** How many may wait for one slow server; for all of them three times as many. Beyond, what is too much is put off. */
  readonly slowLine: number;
}

/**
 * Of what a slow server keeps waiting, so much comes back each so often, in milliseconds: more than it takes, at 8 places and 2 s for one,
 * and so little that a backlog of any length costs the store next to nothing.
 */
const backEveryMs = 5_000;
const backAtOnce = 100;

/** So many slow servers are remembered while nothing is sent to them. */
const rememberedServers = 1_000;

/**
 * The servers of a lane, and how many places each may have: a share, until it has shown that it answers in time.
 *
 *     unknown ── it answers in time ──▶ prompt: as many as it bears
 *        │                               │ ▲
 *        └── it takes too long ──▶ slow ◀┘ └ it answers in time, and nothing else is overdue
 */
export class Servers<T, L> {
  readonly #limits: ServerLimits;
  readonly #active = new Map<string, Server<T, L>>();
  /** Names of slow ones that nothing is sent to now, the oldest first. */
  readonly #remembered = new Set<string>();
  #slowHeld = 0;
  #slowWaiting = 0;
  #slowLines = 0;

  constructor(limits: ServerLimits) {
    this.#limits = limits;
  }

  /** How many wait for slow ones. */
  get slowWaiting(): number {
    return this.#slowWaiting;
  }

  /** Who asks for one counts something of it at once. */
  find(name: string): Server<T, L> {
    let server = this.#active.get(name);
    if (server === undefined) {
      const pace = this.#remembered.delete(name) ? 'slow' : 'unknown';
      server = { name, held: 0, late: 0, waiting: 0, pace, backAtMs: 0, lines: new Map() };
      this.#active.set(name, server);
    }
    return server;
  }

  /** Whether it may have one more place, where one is free. */
  mayHold({ name, pace, held }: Server<T, L>): boolean {
    const { total, share, atOnce } = this.#limits;
    if (pace === 'prompt' || share >= total) return held < atOnce || name === '';
    if (pace === 'slow' && this.#slowHeld >= Math.max(share, total - share)) return false;
    return held < share;
  }

  /** Counts places that it has more or less, and what waits for it. */
  count(server: Server<T, L>, held: number, waiting: number): void {
    server.held += held;
    server.waiting += waiting;
    if (server.pace === 'slow') {
      this.#slowHeld += held;
      this.#slowWaiting += waiting;
    }
    if (server.held === 0 && server.waiting === 0) this.#forget(server);
  }

  /** @param line undefined: its tenant has nothing left that waits */
  setLine(server: Server<T, L>, tenant: T, line: L | undefined): void {
    const before = server.lines.size;
    if (line === undefined) server.lines.delete(tenant);
    else server.lines.set(tenant, line);
    if (server.pace === 'slow') this.#slowLines += server.lines.size - before;
  }

  /** How many one tenant may have waiting for a server: while too many wait, an equal part of what may, and one at least. */
  longestLine({ pace, waiting, lines }: Server<T, L>): number {
    const { slowLine } = this.#limits;
    if (pace !== 'slow') return Number.POSITIVE_INFINITY;
    const part = (isWaiting: number, mayWait: number, lines: number) =>
      isWaiting > mayWait ? Math.floor(mayWait / lines) : Number.POSITIVE_INFINITY;
    const ofServer = part(waiting, slowLine, lines.size);
    return Math.max(1, Math.min(ofServer, part(this.#slowWaiting, 3 * slowLine, this.#slowLines)));
  }

  /**
   * Puts one off behind those that were before. @param nowMs UTC epoch milliseconds
   * @returns in how long it comes back, in milliseconds; many at the same time, since each time is a statement
   */
  putOff(server: Server<T, L>, nowMs: number): number {
    server.backAtMs = Math.max(server.backAtMs, nowMs) + backEveryMs / backAtOnce;
    return Math.ceil((server.backAtMs - nowMs) / backEveryMs) * backEveryMs;
  }

  /** One of its attempts has been under way for too long. */
  isLate(server: Server<T, L>): void {
    server.late += 1;
    this.#setPace(server, 'slow');
  }

  /** One of its attempts has ended; its place is counted still. */
  hasEnded(server: Server<T, L>, wasLate: boolean): void {
    if (wasLate) server.late -= 1;
    else if (server.late === 0) this.#setPace(server, 'prompt');
  }

  #setPace(server: Server<T, L>, pace: Pace): void {
    const change = Number(pace === 'slow') - Number(server.pace === 'slow');
    server.pace = pace;
    this.#slowHeld += change * server.held;
    this.#slowWaiting += change * server.waiting;
    this.#slowLines += change * server.lines.size;
  }

  #forget({ name, pace }: Server<T, L>): void {
    this.#active.delete(name);
    if (pace !== 'slow') return;
    this.#remembered.add(name);
    const [oldest] = this.#remembered;
    if (this.#remembered.size > rememberedServers && oldest !== undefined) this.#remembered.delete(oldest);
  }
}
