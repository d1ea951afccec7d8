/**
 * The types of variables. Each reads a text that is not empty and either returns the value or refuses with
 * what would be right. Types that may hold a secret (`secret`, `headerSecret`, `url`, `baseUrl`, and all of
 * credentials.ts) never quote the text.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { ByProvider } from '../core/dispatcher/settings.ts';
import { type Channel, channels } from '../core/glossary.ts';
import { parseDuration } from './duration.ts';
import { InvalidValue, quote } from './invalid.ts';

/**
 * A type from a function that returns the value or throws InvalidValue. Other errors are bugs and go through.
 */
export function fromText<T>(parse: (text: string) => T): z.ZodType<T, string> {
  return z.string().transform((text, context) => {
    try {
      return parse(text.trim());
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      context.issues.push({ code: 'custom', message: error.message, input: undefined });
      return z.NEVER;
    }
  });
}

/** Kept byte for byte, outer spaces too: they belong to a key. */
export const secret = z.string();

/** A secret that travels in an HTTP header, which loses outer spaces and carries no control characters. */
export const headerSecret = z.string().refine((text) => text === text.trim() && !/\p{Cc}/u.test(text), {
  error: 'has spaces or a line break around it, or control characters inside, which no HTTP header carries',
});

/** One line. */
export const text = fromText((value) => {
  if (/\p{Cc}/u.test(value)) throw new InvalidValue('has control characters in it; use one plain line');
  return value;
});

export const boolean = fromText((value) => {
  const word = value.toLowerCase();
  if (['true', '1', 't'].includes(word)) return true;
  if (['false', '0', 'f'].includes(word)) return false;
  throw new InvalidValue(`${quote(value)} is neither true nor false`);
});

/** A whole number from `min` to `max`. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): z.ZodType<number, string> {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return fromText((value) => {
    const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw new InvalidValue(`${quote(value)} is not a whole number ${range}`);
  });
}

/** A number above 0, with or without decimals. */
export const positiveNumber = fromText((value) => {
  const number = /^\d{1,15}(\.\d{1,9})?$/.test(value) ? Number(value) : 0;
  if (number > 0) return number;
  throw new InvalidValue(`${quote(value)} is not a number above 0`);
});

/** A port to listen on; 0 is any free one. */
export const listenPort = fromText((value) => {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (port <= 65_535) return port;
  throw new InvalidValue(`${quote(value)} is no port; use 1–65535, or 0 for any free one`);
});

/** Milliseconds of any length. */
export const duration = fromText(parseDuration);

/** setTimeout's longest wait, 2^31 − 1 ms; a longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** Milliseconds that a timer can wait, at least `min`. */
export function timer(min: 0 | 1 = 0): z.ZodType<number, string> {
  return fromText((value) => {
    const ms = parseDuration(value);
    if (ms < min) throw new InvalidValue(`${quote(value)} is no pause; use a duration above 0`);
    if (ms > longestTimerMs) throw new InvalidValue(`${quote(value)} is too long; use at most 24d`);
    return ms;
  });
}

/** A pause above 0 between repetitions. */
export const pause = fromText((value) => {
  const ms = parseDuration(value);
  if (ms === 0) throw new InvalidValue(`${quote(value)} is no pause; use a duration above 0`);
  return ms;
});

const levels = ['debug', 'info', 'warn', 'error'] as const;
export const logLevel = fromText((value): (typeof levels)[number] => {
  const word = value.toLowerCase();
  const level = word === 'warning' ? 'warn' : levels.find((known) => known === word);
  if (level === undefined) throw new InvalidValue(`${quote(value)} is no level; use ${oneOf(levels)}`);
  return level;
});

/** A name in lower case. Which names there are is checked where the version's tables are known. */
export const name = fromText((value) => value.toLowerCase());

/** Names in lower case, comma separated, each once; `none` is no name. */
export const names = fromText((value): readonly string[] => {
  const list = split(value.toLowerCase());
  const twice = list.find((item, index) => list.indexOf(item) !== index);
  if (twice !== undefined) throw new InvalidValue(`${quote(twice)} is named twice`);
  if (!list.includes('none')) return list;
  if (list.length > 1) throw new InvalidValue('none cannot stand beside a name; remove one of them');
  return [];
});

/** Texts, comma separated. */
export const list = fromText((value): readonly string[] => split(value));

/** An address to listen on. */
export const host = fromText((value) => {
  if (isIP(value) !== 0 || /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?$/i.test(value)) return value;
  throw new InvalidValue(
    `${quote(value)} is no address; use an IP address without port or brackets, or a host name`,
  );
});

/** host:port of a peer. */
export const hostPort = fromText((value) => {
  const [, ipv6, plain, port] = /^(?:\[([^\]]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/.exec(value) ?? [];
  if ((plain !== undefined || isIP(ipv6 ?? '') === 6) && Number(port) >= 1 && Number(port) <= 65_535)
    return value;
  throw new InvalidValue(
    `${quote(value)} is not host:port; write for example store.internal:50051, without a scheme`,
  );
});

/** A URL of one of the schemes. Never quoted, since user and password may be in it. */
export function url(...schemes: readonly string[]): z.ZodType<string, string> {
  return fromText((value) => {
    parseUrl(value, schemes);
    return value;
  });
}

/** redis: or rediss:, with a database's number as its path at most. Never quoted. */
export const redisUrl = fromText((value) => {
  const { pathname } = parseUrl(value, ['redis', 'rediss']);
  if (!/^\/?\d{0,5}$/.test(pathname))
    throw new InvalidValue("must end with its port or a database's number, such as redis://cache:6379/0");
  return value;
});

/** The http or https URL that paths are appended to; a slash at its end is dropped. Never quoted. */
export const baseUrl = fromText((value) => {
  const { search, hash } = parseUrl(value, ['http', 'https']);
  if (search !== '' || hash !== '') throw new InvalidValue('must end with its host or path, without ? and #');
  return value.replace(/\/+$/, '');
});

/** CORS origins as a browser sends them: scheme, host and port, lower case. `*` is every one. */
export const origins = fromText((value): readonly string[] => split(value).map(origin));

function origin(value: string): string {
  if (value === '*') return value;
  if (value.includes('*')) {
    throw new InvalidValue(
      `${quote(value)} has a * in it; list each origin, or use a single * for every one`,
    );
  }
  const parsed = URL.parse(value);
  if (!parsed?.host || !/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s]+\/?$/i.test(value)) {
    throw new InvalidValue(
      `${quote(value)} is no origin; write for example https://app.example.com, without a path`,
    );
  }
  return `${parsed.protocol}//${parsed.host}`;
}

/** Topics of Amazon SNS. */
export const topicArns = fromText((value): readonly string[] =>
  split(value).map((item) => {
    if (/^arn:aws(-cn|-us-gov)?:sns:[a-z]{2}(-[a-z]+)+-\d:\d{12}:[\w-]{1,256}(\.fifo)?$/.test(item))
      return item;
    throw new InvalidValue(
      `${quote(item)} is no topic; write for example arn:aws:sns:eu-central-1:123456789012:ses-events`,
    );
  }),
);

/** Networks as address/bits; an address alone is a network of one. */
export const cidrs = fromText((value): readonly string[] =>
  split(value).map((item) => {
    const [, address = '', bits] = /^([^/%]*)(?:\/(\d{1,3}))?$/.exec(item) ?? [];
    const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
    if (Number(bits ?? 0) <= most) return `${address}/${bits ?? most}`;
    throw new InvalidValue(`${quote(item)} is no network; write for example 10.0.0.0/8 or fd00::/8`);
  }),
);

/** The longest that one attempt may take: a delivery is given to another process when it takes longer than its lease. */
const longestAttemptMs = 40_000;

/** Milliseconds of one attempt. */
export const attemptTimeout = fromText((value) => {
  const ms = parseDuration(value);
  if (ms >= 100 && ms <= longestAttemptMs) return ms;
  throw new InvalidValue(`${quote(value)} is no time for an attempt; use 100ms to 40s`);
});

/** `14`, `ses=14,smtp=50` or `50,ses=14`: a number for each provider, and those that have one of their own by name. */
export function byProvider(type: z.ZodType<number, string>): z.ZodType<ByProvider, string> {
  return fromText((value) => {
    let every: number | undefined;
    const named: Record<string, number> = {};
    for (const item of split(value)) {
      const [, name, text = ''] = /^(?:([^=]*)=)?(.*)$/s.exec(item) ?? [];
      const parsed = type.safeParse(text);
      if (!parsed.success) throw new InvalidValue(parsed.error.issues[0]?.message ?? 'is not right');
      const key = name?.trim().toLowerCase();
      if (key === undefined ? every !== undefined : Object.hasOwn(named, key))
        throw new InvalidValue(
          key === undefined ? 'has two values; name the provider of each' : `${quote(key)} is named twice`,
        );
      if (key === undefined) every = parsed.data;
      else named[key] = parsed.data;
    }
    return { every, named };
  });
}

/** An email sender: an address, or a name with the address in angle brackets. */
export const mailbox = fromText((value) => {
  if (!/\p{Cc}/u.test(value) && /^(?:[^\s@<>,]+@[^\s@<>,]+|[^<>]*<[^\s@<>,]+@[^\s@<>,]+>)$/.test(value))
    return value;
  throw new InvalidValue(
    `${quote(value)} is no sender; write notify@example.com or Notify <notify@example.com>`,
  );
});

/** Every channel that something is sent on; an in-app item is stored and streamed. */
export type SentChannel = Exclude<Channel, 'in_app'>;
export const sentChannels = channels.filter((channel) => channel !== 'in_app');

/** `email=24h,sms=4h`: milliseconds by channel. Channels that are not named keep the default's. */
export function durationsByChannel(
  defaults: string,
): z.ZodType<Readonly<Record<SentChannel, number>>, string> {
  const parse = (value: string) => mapPairs(pairs(value, sentChannels), parseDuration);
  const base = parse(defaults) as Record<SentChannel, number>;
  return fromText((value) => ({ ...base, ...parse(value) }));
}

/** `email=10/1h,sms=5/24h`: at most so many in a window, by channel. */
export const limitsByChannel = fromText((value) =>
  mapPairs(pairs(value, channels), (limit) => {
    const [, count, window] = /^(\d{1,9})\/(.+)$/.exec(limit) ?? [];
    const windowMs = window === undefined ? 0 : parseDuration(window);
    if (Number(count) > 0 && windowMs > 0) return { limit: Number(count), windowMs };
    throw new InvalidValue(`${quote(limit)} is no limit; write for example 10/1h`);
  }),
);

/** A comma separated list without empty items. */
export function split(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** `a, b or c`. */
export function oneOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function parseUrl(value: string, schemes: readonly string[]): URL {
  const parsed = URL.parse(value);
  if (parsed !== null && schemes.includes(parsed.protocol.slice(0, -1)) && !/\s/.test(value)) return parsed;
  throw new InvalidValue(`must be a URL that begins with ${oneOf(schemes.map((scheme) => `${scheme}://`))}`);
}

/** `a=1,b=2` by key, each key once. */
export function pairs<K extends string>(value: string, keys: readonly K[]): Map<K, string> {
  const found = new Map<K, string>();
  for (const item of split(value)) {
    const at = item.indexOf('=');
    const key = keys.find((known) => known === item.slice(0, at).trim().toLowerCase());
    if (key === undefined || item.slice(at + 1).trim() === '') {
      throw new InvalidValue(`${quote(item)} is not channel=value; the channels are ${keys.join(', ')}`);
    }
    if (found.has(key)) throw new InvalidValue(`${key} is named twice`);
    found.set(key, item.slice(at + 1).trim());
  }
  return found;
}

function mapPairs<K extends string, T>(
  map: Map<K, string>,
  parse: (text: string) => T,
): Partial<Record<K, T>> {
  return Object.fromEntries([...map].map(([key, text]) => [key, parse(text)])) as Partial<Record<K, T>>;
}
