import { type Channel, channels, type DeviceType, deviceTypes } from '../../../../src/core/glossary.ts';
import type { WireStatus } from '../../../../src/core/status.ts';

/** The public contract's numbers, which begin at 1. Channels that it does not have are none of its rows'. */
const publicChannels: readonly Channel[] = channels.slice(0, channels.indexOf('webhook'));
const publicStatuses: readonly WireStatus[] = ['pending', 'delivered', 'acked', 'read', 'failed'];

/** Reads a word in any case, an enum's name (DELIVERY_STATUS_READ) or its number. */
function read<T extends string>(words: readonly T[], prefix: string, text: string): T | undefined {
  if (/^\d{1,3}$/.test(text)) return words[Number(text) - 1];
  const word = text.toLowerCase();
  const bare = word.startsWith(prefix) ? word.slice(prefix.length) : word;
  return words.find((candidate) => candidate === bare);
}

export const readChannel = (text: string): Channel | undefined =>
  read(publicChannels, 'delivery_channel_', text);
export const readStatus = (text: string): WireStatus | undefined =>
  read(publicStatuses, 'delivery_status_', text);
export const readDeviceType = (text: string): DeviceType | undefined =>
  read(deviceTypes, 'device_type_', text);

/** What to say of a word that nobody knows; it is quoted only where it looks like one. */
export const unknownWord = (text: string): string =>
  /^[\w.-]{1,32}$/.test(text) ? `"${text}" is unknown` : text === '' ? 'is empty' : 'is unknown';

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

/** @returns undefined for what is no whole number of 64 bits */
export function readTime(text: string): bigint | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined;
  const value = BigInt(text);
  return value < int64.min || value > int64.max ? undefined : value;
}
