import { codes } from '../../../src/core/channel.ts';

/** What an error of Twilio's means for a delivery. */
export interface Meaning {
  readonly code: string;
  readonly retryable: boolean;
  /** In words of ours: Twilio's own messages quote numbers and texts. */
  readonly text: string;
}

const table: readonly (readonly [
  code: string,
  retryable: boolean,
  numbers: Readonly<Record<number, string>>,
])[] = [
  [
    'provider_busy',
    true,
    {
      20429: 'too many requests at once',
      30001: 'the queue of the sender is full',
      30003: 'the phone cannot be reached for the moment',
      30008: 'an unknown fault on the way to the phone',
      63018: "the sender's rate on WhatsApp is used up",
    },
  ],
  [
    codes.credentialsRejected,
    true,
    {
      20003: 'the account SID or the auth token is wrong, or the account may not send',
      30002: 'the account is suspended',
    },
  ],
  [
    codes.misconfigured,
    true,
    {
      21408: 'the account may not send to this region',
      21606: 'the sender is no number of this account that can send',
      30034: 'the sender is not registered with the carriers (A2P 10DLC)',
      63001: 'the channel of the sender cannot be authenticated',
      63007: 'the sender is not set up for the channel',
    },
  ],
  [
    codes.destinationGone,
    false,
    {
      21211: 'there is no such number',
      21610: 'the recipient has opted out',
      21614: 'the number is no mobile phone',
      30004: 'the recipient blocks messages',
      30005: 'there is no such number any more',
      30006: 'the number is a landline, or its carrier takes no messages',
      63003: 'the recipient has no account on the channel',
      63024: 'the recipient cannot be reached on the channel',
    },
  ],
  [
    codes.messageRefused,
    false,
    {
      21612: 'this sender cannot reach this number',
      21617: 'the text is too long',
      30007: 'a carrier took it for spam',
      63013: "it breaks the channel's rules",
      63015: 'the recipient has not joined the sandbox',
      63016: 'outside of the 24 hours after a message of the recipient WhatsApp takes templates only',
      63032: 'WhatsApp does not deliver to this recipient',
    },
  ],
];

const meanings: ReadonlyMap<number, Meaning> = new Map(
  table.flatMap(([code, retryable, numbers]) =>
    Object.entries(numbers).map(([number, text]) => [
      Number(number),
      { code, retryable, text: `Twilio error ${number}: ${text}` },
    ]),
  ),
);

/** What one of its error codes means; undefined: it is none of those that are known here. */
export const knownError = (number: number): Meaning | undefined => meanings.get(number);

/**
 * What became of a message that Twilio did not take.
 * @param number its error code (www.twilio.com/docs/api/errors); 0 where the answer had none
 */
export function meaningOf(status: number, number: number): Meaning {
  const known = meanings.get(number);
  if (known !== undefined) return known;
  const said = number === 0 ? '' : ` with its error ${number}`;
  const text = `Twilio answered ${status}${said}`;
  if (status === 401) return { code: codes.credentialsRejected, retryable: true, text };
  const ofHttp = { code: `http_${status}`, text };
  if (status === 429 || status === 408 || status >= 500) return { ...ofHttp, retryable: true };
  // a redirect, an unknown path, a refusal without a number: not Twilio's API, or not with this account
  if (status < 400 || ((status === 403 || status === 404) && number === 0))
    return { code: codes.misconfigured, retryable: true, text };
  return number === 0
    ? { ...ofHttp, retryable: false }
    : { code: codes.messageRefused, retryable: false, text };
}
