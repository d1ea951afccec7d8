import type { Channel } from '../glossary.ts';

/** A record as a backend gives it. */
export interface RecipientDraft {
  readonly userId: string;
  /** By address key, which may be one that there is not. */
  readonly addresses: Readonly<Record<string, string>>;
  readonly locale: string;
  readonly timeZone: string;
  /** A JSON object as text. */
  readonly attributes: string | undefined;
}

/** Which dead addresses of a tenant. */
export interface DeadAddressesQuery {
  readonly tenantId: string;
  /** Undefined: of all. */
  readonly channel: Channel | undefined;
  /** '' for the first page. */
  readonly cursor: string;
  /** 0 or less: the default. */
  readonly limit: number;
}
