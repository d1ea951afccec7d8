import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import type { Overrides } from '../../src/app.ts';
import type { ChannelMessage, ChannelProvider, SendOptions, SendReceipt } from '../../src/core/channel.ts';
import type { Channel } from '../../src/core/glossary.ts';

/** What a provider was asked to send. */
export interface Sent extends ChannelMessage {
  readonly idempotencyKey: string;
}

/** A provider that a test scripts, and that remembers what it was given. */
export class FakeProvider implements ChannelProvider {
  readonly name: string;
  readonly channel: Channel;
  readonly sent: Sent[] = [];
  /** What becomes of the next messages; the default takes all of them. */
  answer: (message: Sent, options: SendOptions) => Promise<void> = async () => {};

  constructor(channel: Channel, name = 'fake') {
    this.channel = channel;
    this.name = name;
  }

  async send(message: ChannelMessage, options: SendOptions): Promise<SendReceipt> {
    const sent = { ...message, idempotencyKey: options.idempotencyKey };
    this.sent.push(sent);
    await this.answer(sent, options);
    return { providerMessageId: `${this.name}-${this.sent.length}` };
  }

  /** The destinations so far, in alphabetical order. */
  get destinations(): string[] {
    return this.sent.map(({ destination }) => destination).sort();
  }
}

const variables: Partial<Record<Channel, Record<string, string>>> = {
  email: { NOTIFY_EMAIL_PROVIDER: 'fake', NOTIFY_EMAIL_FROM: 'notify@example.org' },
  sms: { NOTIFY_SMS_PROVIDER: 'fake' },
  whatsapp: { NOTIFY_WHATSAPP_PROVIDER: 'fake' },
  web_push: { NOTIFY_WEBPUSH_PROVIDER: 'fake' },
  mobile_push: { NOTIFY_MOBILEPUSH_PROVIDER: 'fake' },
  chat: { NOTIFY_CHAT_PROVIDER: 'fake' },
};

/** What `build` takes for these providers to be the active ones of their channels. */
export function using(...providers: FakeProvider[]): {
  readonly env: Record<string, string>;
  readonly overrides: Overrides;
} {
  const env = Object.assign({}, ...providers.map(({ channel }) => variables[channel]));
  const core = async (app: FastifyInstance) => {
    for (const provider of providers) app.registerProvider(provider.channel, 'fake', async () => provider);
  };
  return {
    env: { ...env, NOTIFY_PLUGINS: fileURLToPath(new URL('blank-module.ts', import.meta.url)) },
    overrides: { plugins: [{ core }] },
  };
}
