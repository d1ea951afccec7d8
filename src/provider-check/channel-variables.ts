import type { Built } from '../config/choices.ts';
import { schema, testProvider } from '../config/schema.ts';
import { type Choice, isBlock, isVariable, type Settings } from '../config/variable.ts';
import type { Channel } from '../core/glossary.ts';

/** A channel that providers send on. */
export type SentChannel = Exclude<Channel, 'in_app'>;

/** In the order of a report. */
export const sentChannels: readonly SentChannel[] = [
  ...(Object.keys(schema.providers) as (keyof typeof schema.providers)[]),
  'webhook',
];

interface Placed {
  readonly channel: SentChannel;
  /** Undefined: every provider's of the channel. */
  readonly provider: string | undefined;
}

/** Where each variable belongs that belongs to a channel. */
const places = new Map<string, Placed[]>();

function place(settings: Settings, within: Partial<Placed>): void {
  for (const node of Object.values(settings)) {
    if (isBlock(node)) place(node.settings, { ...within, ...placeOf(node.choice) });
    else if (!isVariable(node)) place(node, within);
    else {
      const { channel, provider } = { ...within, ...(node.choice && placeOf(node.choice)) };
      if (channel === undefined) continue;
      for (const name of [node.name, node.own ?? []].flat())
        places.set(name, [...(places.get(name) ?? []), { channel, provider }]);
    }
  }
}

const placeOf = ({ of, name }: Choice): Partial<Placed> =>
  of === 'store' ? {} : { channel: of, ...(name !== undefined && { provider: name }) };

place(schema, {});
place(schema.webhook, { channel: 'webhook' });
for (const [channel, variable] of Object.entries(schema.providers))
  places.set(variable.name, [{ channel: channel as SentChannel, provider: undefined }]);

/** The channel that a variable belongs to; undefined for those of the service. */
export const channelOf = (variable: string): SentChannel | undefined => places.get(variable)?.[0]?.channel;

/** The variables that say how a provider is reached and with what credentials. */
export function variablesOf(channel: string, provider: string): string[] {
  const isLimit = (name: string) => /_(RATE|CONCURRENCY|TIMEOUT)$/.test(name);
  return [...places]
    .filter(
      ([name, found]) =>
        !isLimit(name) && found.some((one) => one.channel === channel && fits(one, provider)),
    )
    .map(([name]) => name)
    .filter((name) => name !== switchOf(channel as SentChannel));
}

const fits = (one: Placed, provider: string): boolean =>
  one.provider === undefined || one.provider === provider;

/** The variable that switches a channel on. */
export const switchOf = (channel: SentChannel): string =>
  channel === 'webhook' ? schema.webhook.secrets.name : schema.providers[channel].name;

/** What a channel is switched on by, in words. */
export function howToSwitchOn(channel: SentChannel, built: Pick<Built, 'providers'>): string {
  const names = (built.providers[channel] ?? []).filter((name) => name !== testProvider);
  if (channel === 'webhook') return `set ${switchOf(channel)}`;
  if (names.length === 0) return `no provider is built in; a module may bring one for ${switchOf(channel)}`;
  return `set ${switchOf(channel)} to ${names.join(', ')}`.replace(/, ([^,]*)$/, ' or $1');
}
