import type { Clock } from '../../../../src/core/ambient.ts';
import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  type CheckOptions,
  codes,
  DeliveryError,
  deadDestination,
  type SendOptions,
  type SendReceipt,
} from '../../../../src/core/channel.ts';
import { transportError } from '../../http/transport-error.ts';
import type { OpenProvider } from '../../open.ts';
import { timeToLiveSeconds } from '../../push/time-to-live.ts';
import { isApnsToken } from '../apns-token.ts';
import { type Http2Answer, Http2Connection } from './connection.ts';
import { apnsPayload } from './payload.ts';
import { type ApnsKey, ProviderToken } from './provider-token.ts';
import { apnsRefusal, reasonOf } from './refusal.ts';

export interface ApnsSettings extends ApnsKey {
  /** The app's bundle id. */
  readonly topic: string;
  /** Whether tokens are of apps that Xcode installed. */
  readonly sandbox: boolean;
  /** Another base URL than Apple's. */
  readonly endpoint: string | undefined;
}

/**
 * Apple Push Notification service ("Sending notification requests to APNs"), over one HTTP/2 connection. The destination is a
 * device token in hex. The delivery's id is the apns-id, which comes back as the message's.
 */
export class ApnsProvider implements ChannelProvider {
  readonly channel = 'mobile_push';
  readonly name = 'apns';
  readonly #path: string;
  readonly #topic: string;
  readonly #connection: Http2Connection;
  readonly #token: ProviderToken;
  readonly #clock: Clock;

  constructor(settings: ApnsSettings, clock: Clock) {
    const { endpoint, sandbox, topic } = settings;
    const base = new URL(endpoint ?? `https://api.${sandbox ? 'sandbox.' : ''}push.apple.com`);
    this.#path = `${base.pathname.replace(/\/$/, '')}/3/device/`;
    this.#topic = topic;
    this.#connection = new Http2Connection(base.origin);
    this.#token = new ProviderToken(settings, clock);
    this.#clock = clock;
  }

  takes(destination: string): boolean {
    return isApnsToken(destination);
  }

  async send(message: ChannelMessage, { signal, idempotencyKey }: SendOptions): Promise<SendReceipt> {
    const { destination, content } = message;
    if (!isApnsToken(destination))
      throw new DeliveryError(codes.invalidDestination, 'the destination is no device token of APNs', {
        retryable: false,
      });
    const nowMs = this.#clock.now();
    const seconds = timeToLiveSeconds(content.expiresAtMs, nowMs);
    const headers = {
      ':path': this.#path + destination,
      'apns-id': idempotencyKey,
      'apns-topic': this.#topic,
      'apns-push-type': 'alert',
      'apns-priority': content.urgency === 'low' ? '5' : '10',
      // 0: now or never
      'apns-expiration': String(seconds === 0 ? 0 : Math.floor(nowMs / 1000) + seconds),
      'content-type': 'application/json',
    };
    const body = apnsPayload(content);
    const token = this.#token.get();
    let answer = await this.#post(headers, body, token, signal);
    if (reasonOf(answer) === 'ExpiredProviderToken' && this.#token.expired(token))
      answer = await this.#post(headers, body, this.#token.get(), signal);
    const refusal = apnsRefusal(answer, this.#clock.now());
    if (refusal !== undefined) throw refusal;
    const id = answer.headers['apns-id'];
    return { providerMessageId: typeof id === 'string' ? id : '' };
  }

  /**
   * Sends a silent push to a token that no device has: Apple looks at the key first, and has no other call that tells whether it is
   * taken.
   */
  async check({ signal }: CheckOptions): Promise<Checked> {
    const headers = {
      ':path': `${this.#path}${'0'.repeat(64)}`,
      'apns-topic': this.#topic,
      'apns-push-type': 'background',
      'apns-priority': '5',
      'apns-expiration': '0',
      'content-type': 'application/json',
    };
    const body = '{"aps":{"content-available":1}}';
    const answer = await this.#post(headers, body, this.#token.get(), signal);
    const refusal = apnsRefusal(answer, this.#clock.now());
    if (refusal !== undefined && !deadDestination.has(refusal.code)) throw refusal;
    return { state: 'ready', note: 'APNs takes the key; the topic shows with the first push' };
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  async #post(
    headers: Readonly<Record<string, string>>,
    body: string,
    token: string,
    signal: AbortSignal,
  ): Promise<Http2Answer> {
    try {
      return await this.#connection.post({ ...headers, authorization: `bearer ${token}` }, body, signal);
    } catch (error) {
      throw transportError(error, signal);
    }
  }
}

export const openApns: OpenProvider = async ({ ambient }, { mobilePush: { apns } }) => {
  if (apns === undefined) throw new Error('NOTIFY_APNS_KEY_P8 is not set');
  return new ApnsProvider(apns, ambient.clock);
};
