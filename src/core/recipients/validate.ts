import { markedChannels } from '../addresses.ts';
import { type Channel, channels } from '../glossary.ts';
import { limits, type Violations, validateData } from '../notifier/validate.ts';
import type { RecipientDraft } from './command.ts';

/** The address keys of a record: every channel but in-app, which always goes to the user. */
export const addressKeys: readonly Channel[] = channels.filter((channel) => channel !== 'in_app');

/** The channels whose addresses may be dead, as words for a caller. */
export const markedWords: string = [...markedChannels].map((channel) => channel.toUpperCase()).join(', ');

/**
 * Collects what is wrong with a record.
 * @param field the record's path in the request
 * @param zones of the same call, looked at before: a look takes 30 µs, and most recipients live in a few zones
 */
export function validateRecipient(
  v: Violations,
  field: string,
  draft: RecipientDraft,
  zones: Map<string, boolean> = new Map(),
): void {
  const { userId, addresses, locale, timeZone, attributes } = draft;
  v.text(`${field}.user_id`, userId, limits.idBytes, true);
  for (const [key, address] of Object.entries(addresses)) validateAddress(v, field, key, address);
  if (locale !== '' && !isLocale(locale))
    v.add(`${field}.locale`, 'must be a language tag of BCP 47, such as en or pt-BR');
  if (timeZone !== '') {
    if (!zones.has(timeZone)) zones.set(timeZone, isTimeZone(timeZone));
    if (zones.get(timeZone) !== true)
      v.add(`${field}.time_zone`, 'must be a time zone of IANA, such as Europe/Berlin or UTC');
  }
  if (attributes !== undefined) validateData(v, attributes, `${field}.attributes`);
}

function validateAddress(v: Violations, field: string, key: string, address: string): void {
  if (!isAddressKey(key)) {
    // a key that is no word could be anything, and is not repeated
    const at = /^[a-z_]{1,20}$/.test(key) ? `${field}.addresses["${key}"]` : `${field}.addresses`;
    const why = key === 'in_app' ? 'in-app always goes to the user' : 'there is no such address';
    v.add(at, `${why}; the keys are ${addressKeys.join(', ')}`);
    return;
  }
  const at = `${field}.addresses["${key}"]`;
  const before = v.found.length;
  if (address.trim() === '') v.add(at, 'must not be blank; leave the key out where there is no address');
  else v.text(at, address, limits.addressBytes);
  if (v.found.length > before) return;
  const wrong = wrongAddress[key]?.(address);
  if (wrong !== undefined) v.add(at, wrong);
}

const isAddressKey = (key: string): key is Channel => (addressKeys as readonly string[]).includes(key);

/** What is wrong with an address that no provider of the channel could take; undefined: one may. */
const wrongAddress: Partial<Record<Channel, (address: string) => string | undefined>> = {
  email: (address) => (isMailbox(address) ? undefined : 'must be one email address, without a name'),
  sms: wrongNumber,
  whatsapp: wrongNumber,
  webhook: (address) =>
    /^https?:\/\/[^\s]+$/.test(address) && URL.canParse(address) ? undefined : 'must be an https URL',
  web_push: (address) =>
    isSubscription(address) ? undefined : 'must be a PushSubscription as JSON, as a browser gives it',
};

function wrongNumber(address: string): string | undefined {
  if (/^\+[1-9]\d{5,14}$/.test(address)) return undefined;
  return 'must be a phone number in international form: a plus and 6 to 15 digits, such as +15550100';
}

/** As providers take it: an ASCII local part without quotes (RFC 5321 §4.1.2), and something like a host. */
function isMailbox(address: string): boolean {
  const [, local = ''] = /^([!#$%&'*+/=?^_`{|}~\w.-]{1,64})@[^\s@<>,;:()[\]"\\]+$/.exec(address) ?? [];
  const isDotted = !local.startsWith('.') && !local.endsWith('.') && !local.includes('..');
  return local !== '' && isDotted && !/\p{Cc}/u.test(address);
}

function isSubscription(address: string): boolean {
  try {
    const parsed: unknown = JSON.parse(address);
    return (
      typeof parsed === 'object' &&
      parsed !== null &&
      'endpoint' in parsed &&
      typeof parsed.endpoint === 'string'
    );
  } catch {
    return false;
  }
}

/** Whether a text is a well-formed tag of RFC 5646. */
function isLocale(text: string): boolean {
  try {
    return text.length <= limits.idBytes && Intl.getCanonicalLocales(text).length === 1;
  } catch {
    return false;
  }
}

/** Offsets such as +02:00 are none: they know no summer. */
function isTimeZone(text: string): boolean {
  if (!/^[A-Za-z]/.test(text)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }) !== undefined;
  } catch {
    return false;
  }
}
