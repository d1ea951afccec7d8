import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  type CheckOptions,
  codes,
  DeliveryError,
  type Diversion,
  deadDestination,
  type SendOptions,
  type SendReceipt,
  type ServersOfDestinations,
} from '../../../src/core/channel.ts';
import type { ReceiptReader } from '../../../src/core/receipts/reader.ts';
import type { Receipt } from '../../../src/core/receipts/receipt.ts';
import { isApnsToken } from '../mobile-push/apns-token.ts';
import type { Decision, Sandbox } from './decision.ts';

/** Told of every message that does not go where it is addressed to. */
export type OnDiverted = (
  diversion: Diversion,
  provider: ChannelProvider,
  message: ChannelMessage,
  options: SendOptions,
) => void;

/**
 * What of a provider has been thought of here. A member that is new to the contract does not compile until it is too: one that sends must
 * not be handed through. Not handed through is `close`, which is for whoever opened the provider.
 */
type Known = 'channel' | 'name' | 'servers' | 'usualRate' | 'takes' | 'send' | 'check' | 'receipts' | 'close';
type Unknown = Record<Exclude<keyof ChannelProvider, Known>, never>;

/** A provider behind the sandbox. */
export class SandboxedProvider implements ChannelProvider, Unknown {
  readonly channel: ChannelProvider['channel'];
  readonly name: string;
  readonly servers?: ServersOfDestinations;
  readonly usualRate?: number;
  readonly check?: (options: CheckOptions) => Promise<Checked>;
  readonly receipts?: ReceiptReader;
  readonly #provider: ChannelProvider;
  readonly #sandbox: Sandbox;
  readonly #onDiverted: OnDiverted;

  constructor(provider: ChannelProvider, sandbox: Sandbox, onDiverted: OnDiverted) {
    this.channel = provider.channel;
    this.name = provider.name;
    if (provider.usualRate !== undefined) this.usualRate = provider.usualRate;
    const { servers, check } = provider;
    if (servers !== undefined) this.servers = servers;
    if (check !== undefined) this.check = (options) => check.call(provider, options);
    const { receipts } = provider;
    if (receipts !== undefined)
      this.receipts = { read: async (callback) => spared(await receipts.read(callback)) };
    this.#provider = provider;
    this.#sandbox = sandbox;
    this.#onDiverted = onDiverted;
  }

  takes(destination: string): boolean {
    return this.#provider.takes?.(destination) ?? true;
  }

  async send(message: ChannelMessage, options: SendOptions): Promise<SendReceipt> {
    const decision = this.#decide(message.destination);
    if (decision.kind === 'send') return this.#provider.send(message, options);
    if (decision.kind === 'capture') {
      this.#onDiverted('sandbox_captured', this, message, options);
      return { providerMessageId: '', diverted: 'sandbox_captured' };
    }
    const receipt = await this.#redirect(message, decision.to, options);
    this.#onDiverted('sandbox_redirected', this, message, options);
    return { ...receipt, diverted: 'sandbox_redirected' };
  }

  #decide(destination: string): Decision {
    const decision = this.#sandbox.decide(this.channel, destination);
    const isToken = decision.kind === 'redirect' && this.channel === 'mobile_push';
    if (!isToken || (this.name !== 'apns' && this.name !== 'fcm')) return decision;
    // the QA phone is one of Apple's or not: what goes to the other kind of phone has no address
    return isApnsToken(decision.to) === (this.name === 'apns') ? decision : { kind: 'capture' };
  }

  async #redirect(message: ChannelMessage, to: string, options: SendOptions): Promise<SendReceipt> {
    try {
      return await this.#provider.send({ ...told(message, this.channel), destination: to }, options);
    } catch (error) {
      throw error instanceof DeliveryError && isOfDestination(error) ? ofSandbox(error) : error;
    }
  }
}

/** What is said of a message may be said of the sandbox's own address: it marks nobody's as dead. */
const spared = (receipts: readonly Receipt[]): Receipt[] =>
  receipts.map((receipt) => ({ ...receipt, dead: undefined }));

/** An email says who it was for, in its subject. Elsewhere an address is a secret, or every character costs. */
function told(message: ChannelMessage, channel: ChannelProvider['channel']): ChannelMessage {
  if (channel !== 'email') return message;
  const { rendered, content, destination } = message;
  const subject = rendered?.subject || content.title;
  return {
    ...message,
    rendered: {
      ...(rendered ?? { body: '', html: '', replyTo: '' }),
      subject: `[to: ${destination.slice(0, longestTold)}] ${subject}`,
    },
  };
}

/** RFC 5321 §4.5.3.1.3. */
const longestTold = 254;

const isOfDestination = ({ code }: DeliveryError): boolean =>
  deadDestination.has(code) ||
  code === codes.destinationGone ||
  code === codes.invalidDestination ||
  code === codes.destinationRefused;

/** What a provider says of the sandbox's own address must not be taken for the recipient's. */
const ofSandbox = ({ message, retryable, retryAfterMs }: DeliveryError): DeliveryError =>
  new DeliveryError(codes.sandboxAddress, `of the address in NOTIFY_SANDBOX: ${message}`, {
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
