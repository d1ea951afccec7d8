import { randomBytes } from 'node:crypto';
import type { Built } from '../config/choices.ts';
import { type Config, ConfigError, parseConfig } from '../config.ts';
import { channelOf, type SentChannel, switchOf } from './channel-variables.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A configuration in which the channels that are set up wrong are off. */
export interface ReadableConfig {
  readonly config: Config;
  /** What is wrong, by channel: `<variable> <what>`. */
  readonly wrong: ReadonlyMap<SentChannel, readonly string[]>;
}

/**
 * Reads what an environment says of channels, as the service would. What else is wrong in it is the start's to say: a check takes no
 * database and no secret of those who call.
 */
export function readableConfig(env: Env, built: Built): ReadableConfig {
  const wrong = new Map<SentChannel, string[]>();
  const secret = () => randomBytes(32).toString('hex');
  let read: Env = {
    ...env,
    NOTIFY_AUTH_JWT_SECRET: secret(),
    NOTIFY_INTERNAL_TOKEN: secret(),
    NOTIFY_STORE_DRIVER: 'memory',
  };
  for (;;) {
    try {
      return { config: parseConfig(read, built), wrong };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const without: Record<string, string | undefined> = {};
      for (const { variable, message } of error.violations) {
        const channel = channelOf(variable);
        if (channel === undefined) without[variable] = undefined;
        else {
          wrong.set(channel, [...(wrong.get(channel) ?? []), `${variable} ${message}`]);
          without[switchOf(channel)] = undefined;
        }
      }
      // what cannot be left out is not understood
      if (Object.keys(without).every((variable) => read[variable] === undefined)) throw error;
      read = { ...read, ...without };
    }
  }
}
