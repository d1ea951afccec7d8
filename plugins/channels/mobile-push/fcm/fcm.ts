import { Agent } from 'undici';
import type { Clock } from '../../../../src/core/ambient.ts';
import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  type CheckOptions,
  codes,
  DeliveryError,
  type SendOptions,
  type SendReceipt,
} from '../../../../src/core/channel.ts';
import { type Answer, exchange } from '../../http/exchange.ts';
import { connectionsFor, type OpenProvider } from '../../open.ts';
import { isApnsToken } from '../apns-token.ts';
import { AccessTokens, type ServiceAccount } from './access-tokens.ts';
import { fcmMessage } from './message.ts';
import { fcmRefusal } from './refusal.ts';

export interface FcmSettings {
  readonly credentials: ServiceAccount;
  readonly projectId: string;
  /** Another base URL than Google's. */
  readonly endpoint: string | undefined;
}

const googleEndpoint = 'https://fcm.googleapis.com';
const usualConnections = 16;

/**
 * Firebase Cloud Messaging, HTTP v1 (firebase.google.com/docs/reference/fcm/rest/v1/projects.messages). The destination is a
 * registration token. FCM has no idempotency key. The message's id is its name.
 */
export class FcmProvider implements ChannelProvider {
  readonly channel = 'mobile_push';
  readonly name = 'fcm';
  readonly #url: URL;
  readonly #http: Agent;
  readonly #tokens: AccessTokens;
  readonly #clock: Clock;

  /** @param connections that are kept at most */
  constructor(
    { credentials, projectId, endpoint = googleEndpoint }: FcmSettings,
    clock: Clock,
    connections = usualConnections,
  ) {
    this.#url = new URL(`${endpoint}/v1/projects/${encodeURIComponent(projectId)}/messages:send`);
    this.#http = new Agent({ connections, allowH2: false, connect: { timeout: 5_000 } });
    this.#tokens = new AccessTokens(credentials, this.#http, clock);
    this.#clock = clock;
  }

  takes(destination: string): boolean {
    return !isApnsToken(destination);
  }

  async send({ destination, content }: ChannelMessage, { signal }: SendOptions): Promise<SendReceipt> {
    const token = registrationToken(destination);
    const answer = await this.#post(fcmMessage(token, content, this.#clock.now()), signal);
    return { providerMessageId: /"name"\s*:\s*"([^"]+)"/.exec(answer.body)?.[1] ?? '' };
  }

  /** Asks for an access token, and with it for a message that FCM only looks at (`validate_only`). */
  async check({ signal }: CheckOptions): Promise<Checked> {
    await this.#post({ validate_only: true, message: { topic: 'notify-check' } }, signal);
    return { state: 'ready', note: 'FCM takes the service account for this project' };
  }

  async #post(body: object, signal: AbortSignal): Promise<Answer> {
    const access = await this.#tokens.get(signal);
    const answer = await exchange(this.#http, {
      url: this.#url,
      headers: { authorization: `Bearer ${access}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    });
    // revoked: the next attempt asks for another one
    if (answer.status === 401) this.#tokens.drop(access);
    const refusal = fcmRefusal(answer, this.#clock.now());
    if (refusal !== undefined) throw refusal;
    return answer;
  }

  async close(): Promise<void> {
    await this.#http.destroy();
  }
}

/** @throws DeliveryError where FCM could not mean anything by it */
function registrationToken(destination: string): string {
  if (/^[\x21-\x7e]+$/.test(destination) && !isApnsToken(destination)) return destination;
  throw new DeliveryError(codes.invalidDestination, 'the destination is no registration token of FCM', {
    retryable: false,
  });
}

export const openFcm: OpenProvider = async ({ ambient }, config) => {
  const { fcm } = config.mobilePush;
  if (fcm === undefined) throw new Error('NOTIFY_FCM_CREDENTIALS_JSON is not set');
  return new FcmProvider(fcm, ambient.clock, connectionsFor(config, 'mobile_push', 'fcm'));
};
