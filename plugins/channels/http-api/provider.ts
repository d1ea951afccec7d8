import type { Dispatcher } from 'undici';
import type { Clock } from '../../../src/core/ambient.ts';
import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  type CheckOptions,
  codes,
  DeliveryError,
  type SendOptions,
  type SendReceipt,
  type ServersOfDestinations,
} from '../../../src/core/channel.ts';
import type { Mailbox } from '../email/address.ts';
import { apiAgent } from '../http/api-agent.ts';
import { type Answer, exchange } from '../http/exchange.ts';
import { hosts } from '../http/hosts.ts';
import { transportError } from '../http/transport-error.ts';
import { judge } from './answer.ts';
import type { Compiled, PreparedRequest } from './compile.ts';
import type { ServedChannel } from './definition.ts';
import type { Values } from './template.ts';
import { valuesOf } from './values.ts';

/** What such a provider needs of the service. */
export interface HttpApiParts {
  readonly egress: { target(url: string): URL; agent(): Promise<Dispatcher> };
  readonly clock: Clock;
  /** Who mails are from. */
  readonly from?: Mailbox | undefined;
  /** How many are kept at most to an API of the operator's; undefined: the usual number. */
  readonly connections?: number | undefined;
}

/** How long a server that somebody else chose may take, connecting included. */
const timeoutMs = 10_000;

/**
 * Sends by a definition: one request a message, an answer judged by its rules. A URL that is the destination is reached by the
 * egress guard alone; one that the operator wrote needs none.
 */
export class HttpApiProvider implements ChannelProvider {
  readonly channel: ServedChannel;
  readonly name: string;
  readonly servers?: ServersOfDestinations;
  readonly usualRate?: number;
  readonly check?: (options: CheckOptions) => Promise<Checked>;
  readonly #compiled: Compiled;
  readonly #parts: HttpApiParts;
  readonly #agent: Dispatcher | undefined;

  constructor(channel: ServedChannel, name: string, compiled: Compiled, parts: HttpApiParts) {
    this.channel = channel;
    this.name = name;
    if (compiled.isDestination) this.servers = hosts();
    this.#compiled = compiled;
    this.#parts = parts;
    const { rate } = compiled.definition;
    if (rate !== undefined) this.usualRate = rate;
    this.#agent =
      compiled.isDestination && compiled.check === undefined ? undefined : apiAgent(parts.connections);
    if (compiled.isDestination || compiled.check !== undefined)
      this.check = ({ signal }) => this.#check(signal);
  }

  takes(destination: string): boolean {
    return this.#compiled.takes(destination);
  }

  async send(message: ChannelMessage, { signal }: SendOptions): Promise<SendReceipt> {
    const values = valuesOf(this.channel, message, this.#parts.from);
    const first = await this.#ask(values, signal);
    // to the new name once: two that name each other would never end
    const last = first.is === 'moved' ? await this.#ask({ ...values, destination: first.to }, signal) : first;
    if (last.is === 'accepted') return { providerMessageId: last.providerMessageId };
    if (last.is === 'refused') throw last.error;
    throw new DeliveryError(codes.destinationGone, `${this.name} says twice that the destination has moved`, {
      retryable: false,
    });
  }

  async close(): Promise<void> {
    await this.#agent?.destroy();
  }

  async #check(signal: AbortSignal): Promise<Checked> {
    const { definition, check } = this.#compiled;
    if (this.#agent === undefined || check?.url === undefined)
      return { state: 'ready', note: 'it has no credentials; every destination is a server of its own' };
    const answer = await exchange(this.#agent, outgoing(check, check.url, signal));
    const judged = judge(
      { name: this.name, definition, isDestination: false },
      answer,
      this.#parts.clock.now(),
    );
    if (judged.is === 'refused') throw judged.error;
    return { state: 'ready', note: `${this.name} answers, and takes what credentials it was shown` };
  }

  async #ask(values: Values, signal: AbortSignal) {
    const { definition, isDestination } = this.#compiled;
    const prepared = this.#compiled.prepare(values);
    const answer =
      this.#agent === undefined || prepared.url === undefined
        ? await this.#askDestination(prepared, String(values.destination), signal)
        : await exchange(this.#agent, outgoing(prepared, prepared.url, signal));
    return judge({ name: this.name, definition, isDestination }, answer, this.#parts.clock.now());
  }

  async #askDestination(
    prepared: PreparedRequest,
    destination: string,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { egress, clock } = this.#parts;
    const late = new AbortController();
    const cancel = clock.after(timeoutMs, () => late.abort());
    try {
      const url = egress.target(destination);
      const limited = AbortSignal.any([signal, late.signal]);
      return await exchange(await egress.agent(), outgoing(prepared, url, limited));
    } catch (error) {
      if (late.signal.aborted && !signal.aborted)
        throw new DeliveryError(codes.timeout, `the server did not answer within ${timeoutMs / 1000} s`, {
          retryable: true,
        });
      throw transportError(error, signal);
    } finally {
      cancel();
    }
  }
}

function outgoing({ method, query, headers, body }: PreparedRequest, url: URL, signal: AbortSignal) {
  for (const [name, value] of query) url.searchParams.set(name, value);
  return { method, url, headers, signal, ...(body !== undefined && { body }) };
}
