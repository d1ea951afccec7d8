import {
  type ChannelMessage,
  type ChannelProvider,
  codes,
  DeliveryError,
  type SendOptions,
  type SendReceipt,
} from '../../../src/core/channel.ts';
import { isApnsToken } from './apns-token.ts';

/**
 * FCM and APNs side by side: a token of APNs goes there, any other to FCM. In the log and in metrics a delivery's provider is the
 * one of the two that it goes to. Whoever opened the two closes them.
 */
export class ByToken implements ChannelProvider {
  readonly channel = 'mobile_push';
  readonly name: string;
  /** That one of the two is away says nothing of the other. */
  readonly isManyServers = true;
  readonly #fcm: ChannelProvider;
  readonly #apns: ChannelProvider;

  constructor(fcm: ChannelProvider, apns: ChannelProvider) {
    this.name = `${fcm.name},${apns.name}`;
    this.#fcm = fcm;
    this.#apns = apns;
  }

  providerOf(destination: string): ChannelProvider {
    return isApnsToken(destination) ? this.#apns : this.#fcm;
  }

  async send(message: ChannelMessage, options: SendOptions): Promise<SendReceipt> {
    if (message.destination === '')
      throw new DeliveryError(codes.invalidDestination, 'the destination is no token', { retryable: false });
    return await this.providerOf(message.destination).send(message, options);
  }
}
