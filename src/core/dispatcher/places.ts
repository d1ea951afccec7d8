import type { Clock } from '../ambient.ts';
import { Line } from './line.ts';
import { type Server, type ServerLimits, Servers } from './servers.ts';

/** How a lane gives out its places. */
export interface PlaceLimits extends ServerLimits {
  /** An attempt that has not ended by then makes its server a slow one, in milliseconds; undefined: none is taken for slow. */
  readonly slowAfterMs: number | undefined;
}

/** Who asks for a place. */
export interface Seeker {
  readonly tenantId: string;
  /** Which server its attempt asks; '' where the lane has one alone. */
  readonly server: string;
  /** Whether it has no other lane to go by: such a one may be put off. */
  readonly isOnlyWay: boolean;
  /** What is not wanted any more gets no place. */
  readonly isWanted: () => boolean;
}

/** Leave to have one attempt under way. */
export interface Place {
  /** The attempt begins. */
  begin(): void;
  /** It has ended, or there was none. */
  giveBack(): void;
}

/** There is no place for now. */
export interface PutOff {
  /** In how long to ask again, in milliseconds. */
  readonly afterMs: number;
}

interface Tenant {
  readonly id: string;
  held: number;
  /** What waits, by server; the one whose last turn was the longest ago is the first. */
  readonly lines: Map<LaneServer, Line<Waiter>>;
}

type LaneServer = Server<Tenant, Line<Waiter>>;

interface Waiter extends Seeker {
  readonly answer: (place: Place | PutOff | undefined) => void;
}

/** What one tenant has waiting for one server. */
interface Queue {
  readonly tenant: Tenant;
  readonly server: LaneServer;
  readonly line: Line<Waiter>;
}

/** Waits until the lane's rate allows one more, or that one is not wanted any more. */
type Turn = (isWanted: () => boolean) => Promise<unknown>;

/**
 * The places of a lane, given out fairly. A free one goes to the tenant that has the fewest, of those that wait; among such to the one
 * whose last turn was the longest ago. Where there are many servers, each tenant's take turns, and at each its tenants do. What one tenant
 * has for one server keeps its order. A place is free only while all that waits is for servers that may not have more.
 *
 * What waits for slow servers beyond a number is put off, where its line is longer than its part of that: held, it would keep others from
 * being claimed.
 */
export class Places {
  readonly #limits: PlaceLimits;
  readonly #clock: Clock;
  readonly #turn: Turn | undefined;
  readonly #servers: Servers<Tenant, Line<Waiter>>;
  /** Those that have a place or wait for one, in the order of their last turns. */
  readonly #tenants = new Map<string, Tenant>();
  #free: number;
  #waiting = 0;
  /** Somebody has a place and waits for the lane's rate. Nobody else is chosen meanwhile: who comes now may go before who waits. */
  #isTurning = false;

  /** @param turn undefined: the lane has no rate */
  constructor(limits: PlaceLimits, clock: Clock, turn?: Turn) {
    this.#limits = limits;
    this.#clock = clock;
    this.#turn = turn;
    this.#servers = new Servers(limits);
    this.#free = limits.total;
  }

  /** How many wait for slow servers. */
  get slowWaiting(): number {
    return this.#servers.slowWaiting;
  }

  /** @returns PutOff: enough wait for its server; undefined: it is not wanted any more */
  take(seeker: Seeker): Place | Promise<Place | PutOff | undefined> {
    const tenant = this.#tenantOf(seeker.tenantId);
    const server = this.#servers.find(seeker.server);
    // what waits may not have what is free
    if (this.#free > 0 && this.#turn === undefined && this.#servers.mayHold(server))
      return this.#occupy(tenant, server);
    return new Promise((answer) => {
      const line = server.lines.get(tenant) ?? new Line<Waiter>();
      tenant.lines.set(server, line);
      this.#servers.setLine(server, tenant, line);
      line.push({ ...seeker, answer });
      this.#waiting += 1;
      this.#servers.count(server, 0, 1);
      if (this.#turn !== undefined) this.#serve();
      this.#putOff({ tenant, server, line });
    });
  }

  #serve(): void {
    while (this.#free > 0 && this.#waiting > 0 && !this.#isTurning) {
      const queue = this.#next();
      const waiter = queue?.line.shift();
      if (queue === undefined || waiter === undefined) return;
      const place = waiter.isWanted() ? this.#occupy(queue.tenant, queue.server) : undefined;
      this.#rotate(queue);
      this.#haveLeft(queue, 1);
      if (place === undefined || this.#turn === undefined) {
        waiter.answer(place);
        continue;
      }
      this.#isTurning = true;
      void this.#turn(waiter.isWanted).then(() => {
        this.#isTurning = false;
        waiter.answer(place);
        this.#serve();
      });
    }
  }

  /** Whose turn it is; undefined: nothing waits but for servers that have their share. */
  #next(): Queue | undefined {
    let next: Queue | undefined;
    for (const tenant of this.#tenants.values()) {
      if (next !== undefined && tenant.held >= next.tenant.held) continue;
      next = this.#nextOf(tenant) ?? next;
      if (next?.tenant.held === 0) break;
    }
    return next;
  }

  #nextOf(tenant: Tenant): Queue | undefined {
    const { total, share } = this.#limits;
    for (const [server, line] of tenant.lines) {
      if (!this.#servers.mayHold(server)) continue;
      const [first] = server.lines.keys();
      if (first === tenant || share === total) return { tenant, server, line };
    }
    return undefined;
  }

  /** It has had its turn: its tenant's other servers are before it, and its server's other tenants. */
  #rotate({ tenant, server, line }: Queue): void {
    if (tenant.lines.size > 1) moveLast(tenant.lines, server, line);
    if (server.lines.size > 1) moveLast(server.lines, tenant, line);
  }

  /** So many have left a line. */
  #haveLeft({ tenant, server, line }: Queue, count: number): void {
    this.#waiting -= count;
    if (line.size === 0) {
      tenant.lines.delete(server);
      this.#servers.setLine(server, tenant, undefined);
    }
    this.#servers.count(server, 0, -count);
    this.#forget(tenant);
  }

  #occupy(tenant: Tenant, server: LaneServer): Place {
    const { slowAfterMs } = this.#limits;
    this.#free -= 1;
    tenant.held += 1;
    this.#servers.count(server, 1, 0);
    if (this.#tenants.size > 1) moveLast(this.#tenants, tenant.id, tenant);
    let isLate = false;
    let cancel: (() => void) | undefined;
    return {
      begin: () => {
        if (slowAfterMs === undefined) return;
        cancel = this.#clock.after(slowAfterMs, () => {
          isLate = true;
          this.#servers.isLate(server);
          for (const [other, line] of [...server.lines]) this.#putOff({ tenant: other, server, line });
        });
      },
      giveBack: () => {
        // nothing that waits might have a place that was free before
        const wasFree = this.#free > 0 && !this.#isTurning && server.pace !== 'slow';
        if (cancel !== undefined) {
          cancel();
          this.#servers.hasEnded(server, isLate);
        }
        this.#free += 1;
        tenant.held -= 1;
        this.#servers.count(server, -1, 0);
        this.#forget(tenant);
        if (!wasFree || server.waiting > 0) this.#serve();
      },
    };
  }

  /** Puts off the end of a line for a slow server that is too long. */
  #putOff(queue: Queue): void {
    const { server, line } = queue;
    if (line.size <= this.#servers.longestLine(server)) return;
    this.#takeOut(queue, ({ isWanted }) => !isWanted());
    const nowMs = this.#clock.now();
    this.#takeOut(
      queue,
      ({ isOnlyWay }) => isOnlyWay,
      this.#servers.longestLine(server),
      () => ({ afterMs: this.#servers.putOff(server, nowMs) }),
    );
  }

  /** @param told what those that are taken out are answered */
  #takeOut(
    queue: Queue,
    test: (waiter: Waiter) => boolean,
    butFirst = 0,
    told: () => PutOff | undefined = () => undefined,
  ): void {
    const out = queue.line.takeOut(test, butFirst);
    for (const { answer } of out) answer(told());
    if (out.length > 0) this.#haveLeft(queue, out.length);
  }

  #tenantOf(id: string): Tenant {
    let tenant = this.#tenants.get(id);
    if (tenant === undefined) {
      tenant = { id, held: 0, lines: new Map() };
      this.#tenants.set(id, tenant);
    }
    return tenant;
  }

  #forget(tenant: Tenant): void {
    if (tenant.held === 0 && tenant.lines.size === 0) this.#tenants.delete(tenant.id);
  }
}

function moveLast<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
}
