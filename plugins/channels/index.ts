import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import type { ChannelProvider, Providers } from '../../src/core/channel.ts';
import type { Channel } from '../../src/core/glossary.ts';
import type { ReceiptReader } from '../../src/core/receipts/reader.ts';
import type { ReceiptReaders } from '../../src/core/receipts/receipts.ts';
import { lazy, type OpenProvider } from './open.ts';
import { sandboxing } from './sandbox/index.ts';
import { testProvider } from './test/provider.ts';
import { openTwilio } from './twilio/index.ts';

export type { OpenProvider } from './open.ts';

/**
 * Every provider of this service: channel, then name. In-app is not among them: it is the inbox and the live hub.
 * A provider is one file in <channel>/ and one line here. It is loaded when it is chosen: SDKs are slow to load.
 */
export const channelProviders: Readonly<Partial<Record<Channel, Readonly<Record<string, OpenProvider>>>>> = {
  email: {
    acs: lazy(() => import('./email/acs/index.ts')),
    emailservice: lazy(() => import('./email/emailservice/index.ts')),
    sendgrid: lazy(() => import('./email/sendgrid/index.ts')),
    ses: lazy(() => import('./email/ses/index.ts')),
    smtp: lazy(() => import('./email/smtp/index.ts')),
    test: testProvider('email'),
  },
  sms: { twilio: openTwilio('sms'), test: testProvider('sms') },
  whatsapp: { twilio: openTwilio('whatsapp'), test: testProvider('whatsapp') },
  web_push: {
    vapid: async (app, config) => (await import('./web-push/vapid.ts')).openVapid(app, config),
    test: testProvider('web_push'),
  },
  mobile_push: {
    apns: async (app, config) => (await import('./mobile-push/apns/apns.ts')).openApns(app, config),
    fcm: async (app, config) => (await import('./mobile-push/fcm/fcm.ts')).openFcm(app, config),
    test: testProvider('mobile_push'),
  },
  webhook: {
    webhook: async (app, config) => (await import('./webhook/standard.ts')).openWebhook(app, config),
  },
  chat: {
    apprise: preset('openApprise'),
    discord: preset('openDiscord'),
    gotify: preset('openGotify'),
    ntfy: preset('openNtfy'),
    slack: preset('openSlack'),
    teams: preset('openTeams'),
    telegram: preset('openTelegram'),
    test: testProvider('chat'),
  },
};

type Presets = typeof import('./http-api/presets.ts');

/** A provider that is a definition of the one that speaks HTTP. */
function preset(open: Exclude<keyof Presets, 'presetProvider'>): OpenProvider {
  return async (app, config) => (await import('./http-api/presets.ts'))[open](app, config);
}

/** Providers by channel and name, as the table above and modules fill it. */
export type ProviderTable = Map<Channel, Map<string, OpenProvider>>;

declare module 'fastify' {
  interface FastifyInstance {
    /** The active providers of each channel that has some, in the order in which the configuration names them. */
    providers: Providers;
    /** Who knows the receipts of those that are opened. */
    receiptReaders: ReceiptReaders;
    /** Adds a provider that a channel's NOTIFY_…_PROVIDER may name. For modules of NOTIFY_PLUGINS. */
    registerProvider(channel: Channel, name: string, open: OpenProvider): void;
  }
}

/** Lets modules add providers, before those that the configuration names are opened. */
export const providerRegistry = fp<{ table: ProviderTable }>(
  async (app, { table }) => {
    app.decorate('registerProvider', (channel: Channel, name: string, open: OpenProvider) => {
      const ofChannel = table.get(channel) ?? new Map<string, OpenProvider>();
      if (ofChannel.has(name)) throw new Error(`channel ${channel} has a provider named ${name} already`);
      table.set(channel, ofChannel.set(name, open));
    });
  },
  { name: 'provider-registry' },
);

/** The providers that the configuration names. */
export default fp<{ config: Config; table: ProviderTable }>(
  async (app, { config, table }) => {
    if (config.httpProvidersFile !== undefined) {
      const { registerHttpProviders } = await import('./http-api/register.ts');
      await registerHttpProviders(app, config, (channel, name) => table.get(channel)?.has(name) ?? false);
    }
    const active = new Map<Channel, readonly ChannelProvider[]>();
    const sandboxed = sandboxing(app, config);
    const readers = new Map<string, ReceiptReader[]>();
    // no variable names the webhook channel's provider: its secret switches it on
    const webhook = config.webhook.secrets === undefined ? [] : ['webhook'];
    const chosen = Object.entries({ ...config.providers, webhook }) as [Channel, readonly string[]][];
    for (const [channel, names] of chosen) {
      const opened: ChannelProvider[] = [];
      for (const name of names) {
        const open = table.get(channel)?.get(name);
        if (open === undefined) {
          const known = [...(table.get(channel)?.keys() ?? [])].join(', ') || 'none';
          throw new Error(`channel ${channel}: no provider is named ${name}; there are: ${known}`);
        }
        const provider = await open(app, config);
        app.addHook('onClose', () => provider.close?.());
        const usable = sandboxed(provider);
        opened.push(usable);
        const { receipts } = usable;
        if (receipts) readers.set(provider.name, [...(readers.get(provider.name) ?? []), receipts]);
      }
      if (opened.length > 0) active.set(channel, opened);
    }
    app.decorate('providers', active);
    app.decorate('receiptReaders', readers);
  },
  {
    name: 'providers',
    dependencies: [
      ...['ambient', 'egress', 'notify-metrics', 'provider-registry', 'test-providers', 'webhook-keys'],
    ],
  },
);
