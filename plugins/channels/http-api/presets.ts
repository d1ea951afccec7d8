import type { ChannelProvider } from '../../../src/core/channel.ts';
import type { OpenProvider } from '../open.ts';
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
}

/** A preset as a provider of the chat channel. */
export function presetProvider(
  name: string,
  written: WrittenDefinition,
  { egress, ambient }: PresetParts,
  { endpoint = '', token = '' }: PresetSettings = {},
): ChannelProvider {
  const wrong: string[] = [];
  const env = { NOTIFY_CHAT_ENDPOINT: endpoint, NOTIFY_CHAT_TOKEN: token };
  const compiled = compile(definitionSchema.parse(written), env, (place, message) =>
    wrong.push(`${place} ${message}`),
  );
  if (compiled === undefined) throw new Error(`the preset ${name} is wrong: ${wrong.join('; ')}`);
  return new HttpApiProvider('chat', name, compiled, { egress, clock: ambient.clock });
}

export const openSlack: OpenProvider = async (app, { chat }) => {
  const webhooks = presetProvider('slack', slackWebhook, app);
  const { token, endpoint = 'https://slack.com/api' } = chat.slack ?? {};
  if (token === undefined) return webhooks;
  return new ByDestination(
    'chat',
    'slack',
    webhooks,
    presetProvider('slack', slackApi, app, { endpoint, token }),
  );
};

export const openDiscord: OpenProvider = async (app) => presetProvider('discord', discord, app);

export const openTeams: OpenProvider = async (app) => presetProvider('teams', teams, app);

export const openTelegram: OpenProvider = async (app, { chat }) =>
  presetProvider('telegram', telegram, app, {
    endpoint: 'https://api.telegram.org',
    ...given(chat.telegram),
  });

export const openNtfy: OpenProvider = async (app, { chat }) =>
  presetProvider('ntfy', ntfy, app, { endpoint: 'https://ntfy.sh', ...given(chat.ntfy) });

export const openGotify: OpenProvider = async (app, { chat }) =>
  presetProvider('gotify', gotify, app, chat.gotify);

export const openApprise: OpenProvider = async (app, { chat }) =>
  presetProvider('apprise', apprise, app, chat.apprise);

/** Settings without those that are unset. */
const given = (settings: PresetSettings = {}): PresetSettings =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
