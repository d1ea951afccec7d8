import type { Dispatcher } from 'undici';
import type { Clock } from '../../../src/core/ambient.ts';
import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  codes,
  type SendOptions,
  type SendReceipt,
} from '../../../src/core/channel.ts';
import type { Urgency } from '../../../src/core/glossary.ts';
import { exchange } from '../http/exchange.ts';
import { hosts } from '../http/hosts.ts';
import { transportError } from '../http/transport-error.ts';
import type { OpenProvider } from '../open.ts';
import { timeToLiveSeconds } from '../push/time-to-live.ts';
import { KeyWatch } from './key-watch.ts';
import { webPushPayload } from './payload.ts';
import { refusalOf } from './refusal.ts';
import { endpointOf, subscriptionOf } from './subscription.ts';
import { VapidKey } from './vapid-key.ts';

type Encrypt = typeof import('web-push').generateRequestDetails;

/** What web push needs of the service. */
export interface WebPushParts {
  readonly egress: { target(url: string): URL; readonly agent: Dispatcher };
  readonly key: VapidKey;
  readonly watch: KeyWatch;
  readonly clock: Clock;
  readonly encrypt: Encrypt;
}

/** RFC 8030 §5.3. Without an urgency it is normal. */
const urgencies = { low: 'low', normal: 'normal', high: 'high', critical: 'high' } as const satisfies Record<
  Urgency,
  string
>;

/**
 * Web push: RFC 8030 with VAPID (RFC 8292), encrypted for the browser (RFC 8188, RFC 8291). The destination is a
 * PushSubscription, whose endpoint anybody may choose: so it is connected to through the egress guard. The message's id is the
 * push service's Location.
 */
export class WebPushProvider implements ChannelProvider {
  readonly channel = 'web_push';
  readonly name = 'vapid';
  readonly servers = hosts(endpointOf);
  readonly #parts: WebPushParts;

  constructor(parts: WebPushParts) {
    this.#parts = parts;
  }

  async send({ destination, content }: ChannelMessage, { signal }: SendOptions): Promise<SendReceipt> {
    const { egress, key, watch, clock, encrypt } = this.#parts;
    const subscription = subscriptionOf(destination);
    const url = this.#target(subscription.endpoint, signal);
    const { headers, body } = encrypt(subscription, webPushPayload(content), {
      TTL: timeToLiveSeconds(content.expiresAtMs, clock.now()),
      urgency: urgencies[content.urgency ?? 'normal'],
      contentEncoding: 'aes128gcm',
      // the library would sign a token for every message
      vapidDetails: null as never,
      headers: { Authorization: key.authorization(url.origin) },
    });
    const answer = await exchange(egress.agent, {
      url,
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
      body: body ?? '',
      signal,
    });
    const refusal = refusalOf(answer, clock.now());
    if (refusal === undefined) watch.accepted();
    else if (refusal.code === codes.credentialsRejected) watch.rejected(subscription.endpoint);
    if (refusal !== undefined) throw refusal;
    const { location } = answer.headers;
    return { providerMessageId: location ?? '' };
  }

  /** The configuration has proved that the keys are a pair; each push service sees them with its first message. */
  async check(): Promise<Checked> {
    return { state: 'ready', note: 'the VAPID keys are a pair; every browser has a push service of its own' };
  }

  #target(endpoint: string, signal: AbortSignal): URL {
    try {
      return this.#parts.egress.target(endpoint);
    } catch (error) {
      throw transportError(error, signal);
    }
  }
}

export const openVapid: OpenProvider = async ({ egress, ambient, log }, { webPush: { vapid } }) => {
  if (vapid === undefined) throw new Error('NOTIFY_WEBPUSH_VAPID_PUBLIC is not set');
  if (vapid.contact === undefined)
    log.warn({ variable: 'NOTIFY_WEBPUSH_CONTACT_EMAIL' }, 'web_push_without_contact');
  const { default: webPush } = await import('web-push');
  const key = new VapidKey(vapid, ambient.clock);
  const watch = new KeyWatch((news) => {
    if (news === 'rejected') log.error('web_push_keys_rejected');
    else log.info('web_push_keys_accepted');
  });
  return new WebPushProvider({
    egress: { target: (url) => egress.target(url), agent: await egress.agent() },
    key,
    watch,
    clock: ambient.clock,
    encrypt: webPush.generateRequestDetails,
  });
};
