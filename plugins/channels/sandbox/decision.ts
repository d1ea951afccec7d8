import type { Config } from '../../../src/config.ts';
import type { Channel } from '../../../src/core/glossary.ts';
import { addressOf } from '../email/address.ts';

/** What becomes of a message: it goes out as addressed, to another address, or not at all. */
export type Decision =
  | { readonly kind: 'send' }
  | { readonly kind: 'redirect'; readonly to: string }
  | { readonly kind: 'capture' };

const send: Decision = { kind: 'send' };
const capture: Decision = { kind: 'capture' };

/** Decides by the configuration of this process alone: what a store holds, or a call says, opens nothing. */
export class Sandbox {
  readonly #rule: NonNullable<Config['sandbox']['rule']>;
  readonly #allowed: ReadonlySet<string>;
  /** Mailboxes and `@domain`s, in the one spelling that is compared. */
  readonly #mail: ReadonlySet<string>;

  constructor(rule: NonNullable<Config['sandbox']['rule']>, allow: readonly string[]) {
    this.#rule = rule;
    this.#allowed = new Set(allow);
    this.#mail = new Set(
      allow.flatMap((entry) => {
        // a domain is read as that of somebody
        const isDomain = entry.startsWith('@');
        const mailbox = comparable(isDomain ? `x${entry}` : entry);
        if (mailbox === undefined) return [];
        return [isDomain ? domainOf(mailbox) : mailbox];
      }),
    );
  }

  decide(channel: Channel, destination: string): Decision {
    if (this.#allows(channel, destination)) return send;
    const to = this.#rule.kind === 'redirect' && channel !== 'in_app' ? this.#rule.to[channel] : undefined;
    return to === undefined ? capture : { kind: 'redirect', to };
  }

  #allows(channel: Channel, destination: string): boolean {
    if (channel === 'email') {
      const mailbox = comparable(destination);
      return mailbox !== undefined && (this.#mail.has(mailbox) || this.#mail.has(domainOf(mailbox)));
    }
    if (channel === 'web_push') return this.#allowed.has(endpointOf(destination));
    return this.#allowed.has(destination);
  }
}

/**
 * A mailbox as it is compared: only what is one address and nothing else, since a text of two would be sent to both. The letters of
 * ASCII alone lose their case, and nothing is mapped: another spelling is kept, not sent.
 */
function comparable(text: string): string | undefined {
  const trimmed = text.trim();
  return addressOf(trimmed) && trimmed.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

const domainOf = (mailbox: string): string => mailbox.slice(mailbox.lastIndexOf('@'));

/** A subscription's address is its endpoint; the list of those allowed could not hold the whole of it. */
function endpointOf(subscription: string): string {
  try {
    const endpoint = (JSON.parse(subscription) as { endpoint?: unknown } | null)?.endpoint;
    return typeof endpoint === 'string' ? endpoint : '';
  } catch {
    return '';
  }
}
