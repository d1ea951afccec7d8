import { domainToASCII } from 'node:url';

/** Who a mail is from, or answers go to. */
export interface Mailbox {
  /** '' where there is none. */
  readonly name: string;
  readonly address: string;
}

/** RFC 5321 §4.5.3.1: the longest local part and the longest path without its brackets, in octets. */
const longestLocalPart = 64;
const longestAddress = 254;

/**
 * One address as it may stand in an SMTP command: the domain in its ASCII form (RFC 5891), nothing that a header or a command
 * would read as something else. Quoted local parts and those outside ASCII (SMTPUTF8, RFC 6531) are not taken: most servers refuse
 * them, and some pass them on broken.
 * @returns undefined where it is none
 */
export function addressOf(text: string): string | undefined {
  const [, local = '', domain = ''] = /^([!#$%&'*+/=?^_`{|}~\w.-]+)@([^\s@<>,;:()[\]"\\]+)$/.exec(text) ?? [];
  const ascii = /\p{Cc}/u.test(domain) ? '' : domainToASCII(domain);
  const isDotted = !local.startsWith('.') && !local.endsWith('.') && !local.includes('..');
  const isHost = /^[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9]([a-z0-9-]{0,62}))*$/i.test(ascii);
  if (!isDotted || !isHost || local.length > longestLocalPart) return undefined;
  const address = `${local}@${ascii}`;
  return address.length > longestAddress ? undefined : address;
}

/** `address` or `Name <address>`; the name may stand in double quotes. @returns undefined where it is neither */
export function mailboxOf(text: string): Mailbox | undefined {
  if (/\p{Cc}/u.test(text)) return undefined;
  const [, named, inBrackets] = /^([^<>]*)<([^<>]+)>$/.exec(text.trim()) ?? [];
  const address = addressOf((inBrackets ?? text).trim());
  if (address === undefined) return undefined;
  const name = (named ?? '').trim().replace(/^"(.*)"$/, '$1');
  return { name: name.replaceAll(/\\(.)/g, '$1'), address };
}

/** A mailbox as one text, the name quoted (RFC 5322 §3.2.4) and in any script. */
export function mailboxText({ name, address }: Mailbox): string {
  return name === '' ? address : `"${name.replaceAll(/[\\"]/g, '\\$&')}" <${address}>`;
}

/** A mailbox as a header has it, in ASCII: where it must be, the name is an encoded word (RFC 2047). */
export function headerMailbox(mailbox: Mailbox): string {
  const { name, address } = mailbox;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: everything of ASCII
  return /^[\x00-\x7f]*$/.test(name) ? mailboxText(mailbox) : `${encodedWords(name)} <${address}>`;
}

/** RFC 2047 §2: an encoded word has at most 75 characters; 45 bytes make 60 of base64. No character is split. */
const bytesPerWord = 45;

function encodedWords(text: string): string {
  const words: string[] = [];
  let chunk = '';
  for (const character of text) {
    if (Buffer.byteLength(chunk + character) > bytesPerWord) {
      words.push(chunk);
      chunk = '';
    }
    chunk += character;
  }
  return [...words, chunk].map((word) => `=?UTF-8?B?${Buffer.from(word).toString('base64')}?=`).join(' ');
}
