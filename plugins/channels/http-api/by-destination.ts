import type {
  ChannelMessage,
  ChannelProvider,
  Checked,
  CheckOptions,
  SendOptions,
  SendReceipt,
} from '../../../src/core/channel.ts';
import { hosts } from '../http/hosts.ts';
import type { ServedChannel } from './definition.ts';

/** One provider for URLs and one for names, under one name: Slack's webhooks and its Web API. */
export class ByDestination implements ChannelProvider {
  readonly channel: ServedChannel;
  readonly name: string;
  /** Names are no URLs: what takes them is its own. */
  readonly servers = hosts();
  readonly check?: (options: CheckOptions) => Promise<Checked>;
  readonly #urls: ChannelProvider;
  readonly #names: ChannelProvider;

  constructor(channel: ServedChannel, name: string, urls: ChannelProvider, names: ChannelProvider) {
    this.channel = channel;
    this.name = name;
    this.#urls = urls;
    this.#names = names;
    // those alone have credentials
    const { check } = names;
    if (check !== undefined) this.check = (options) => check.call(names, options);
  }

  takes(destination: string): boolean {
    return [this.#urls, this.#names].some((provider) => provider.takes?.(destination) ?? true);
  }

  send(message: ChannelMessage, options: SendOptions): Promise<SendReceipt> {
    return (message.destination.includes('://') ? this.#urls : this.#names).send(message, options);
  }

  async close(): Promise<void> {
    await Promise.all([this.#urls.close?.(), this.#names.close?.()]);
  }
}
