import type { Config } from '../../../src/config.ts';
import type { ChannelProvider } from '../../../src/core/channel.ts';
import { connectionsFor, type OpenProvider } from '../open.ts';
import { ByDestination } from './by-destination.ts';
import { compile } from './compile.ts';
import { definitionSchema, type WrittenDefinition } from './definition.ts';
import { apprise } from './presets/apprise.ts';
import { discord } from './presets/discord.ts';
import { gotify } from './presets/gotify.ts';
import { ntfy } from './presets/ntfy.ts';
import { slackApi, slackWebhook } from './presets/slack.ts';
import { teams } from './presets/teams.ts';
import { telegram } from './presets/telegram.ts';
import { type HttpApiParts, HttpApiProvider } from './provider.ts';

/** What a preset is told by the configuration; '' where that says nothing. */
export interface PresetSettings {
  readonly endpoint?: string | undefined;
  readonly token?: string | undefined;
}

/** What a preset needs of the core instance. */
export interface PresetParts {
  readonly egress: HttpApiParts['egress'];
  readonly ambient: { readonly clock: HttpApiParts['clock'] };
  readonly connections?: number | undefined;
}

/** A preset as a provider of the chat channel. */
export function presetProvider(
  name: string,
  written: WrittenDefinition,
  { egress, ambient, connections }: PresetParts,
  { endpoint = '', token = '' }: PresetSettings = {},
): ChannelProvider {
  const wrong: string[] = [];
  const env = { NOTIFY_CHAT_ENDPOINT: endpoint, NOTIFY_CHAT_TOKEN: token };
  const compiled = compile(definitionSchema.parse(written), env, (place, message) =>
    wrong.push(`${place} ${message}`),
  );
  if (compiled === undefined) throw new Error(`the preset ${name} is wrong: ${wrong.join('; ')}`);
  return new HttpApiProvider('chat', name, compiled, { egress, clock: ambient.clock, connections });
}

export const openSlack: OpenProvider = async (app, config) => {
  const parts = partsOf(app, config, 'slack');
  const webhooks = presetProvider('slack', slackWebhook, parts);
  const { token, endpoint = 'https://slack.com/api' } = config.chat.slack ?? {};
  if (token === undefined) return webhooks;
  return new ByDestination(
    'chat',
    'slack',
    webhooks,
    presetProvider('slack', slackApi, parts, { endpoint, token }),
  );
};

/** Opens a preset whose settings are its block of the configuration. */
const opener =
  (
    name: 'telegram' | 'ntfy' | 'gotify' | 'apprise',
    written: WrittenDefinition,
    endpoint = '',
  ): OpenProvider =>
  async (app, config) => {
    const settings: PresetSettings = config.chat[name] ?? {};
    return presetProvider(name, written, partsOf(app, config, name), {
      token: settings.token,
      endpoint: settings.endpoint ?? endpoint,
    });
  };

export const openDiscord: OpenProvider = async (app) => presetProvider('discord', discord, app);
export const openTeams: OpenProvider = async (app) => presetProvider('teams', teams, app);
export const openTelegram = opener('telegram', telegram, 'https://api.telegram.org');
export const openNtfy = opener('ntfy', ntfy, 'https://ntfy.sh');
export const openGotify = opener('gotify', gotify);
export const openApprise = opener('apprise', apprise);

const partsOf = ({ egress, ambient }: PresetParts, config: Config, name: string): PresetParts => ({
  ...{ egress, ambient },
  connections: connectionsFor(config, 'chat', name),
});
