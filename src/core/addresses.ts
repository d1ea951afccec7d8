import type { Channel, Device, EpochMs, Reason, UserKey } from './glossary.ts';

/** Where recipients are reached, and where nobody is reached any more. A part of every Store. */
export interface AddressBook {
  /**
   * Stores records, each in place of the user's whole previous one; no user twice. The addresses in them are alive again: what was
   * marked dead of them by now is not any more.
   */
  putRecipients(recipients: readonly Recipient[], atMs: EpochMs): Promise<void>;

  /** @throws NotifyError not_found */
  getRecipient(owner: UserKey): Promise<Recipient>;

  /** Where some users are reached beside what a request says, in order. Who is not known has no addresses. */
  destinations(lookUps: readonly DestinationLookUp[]): Promise<KnownDestinations[]>;

  /**
   * Forgets everything about a user: the record, notifications with their keys and deliveries, devices, the inbox's counters. Marks
   * of dead addresses stay: they name no user. Positions and versions that the inbox had are given to the user never again: a new
   * one begins above them. Idempotent.
   * @returns how many records, notifications, deliveries on other channels than in-app, and devices there were
   */
  eraseUser(owner: UserKey): Promise<number>;

  /**
   * Marks addresses as dead: nothing is sent there by later notifications of the tenant, nor what falls due later. A mark changes nothing where the address
   * was set again, or revived, at its time or later; the latest mark's reason and time are kept. On a channel that has no marks
   * (see markedChannels) it is skipped. Repeats and another order come to the same.
   */
  markAddressesDead(batch: readonly DeadAddress[]): Promise<void>;

  /** For each address, in order: why it is dead; undefined: it is not. */
  deadAddresses(addresses: readonly Address[]): Promise<(Reason | undefined)[]>;

  /** The dead addresses of a tenant, the latest mark first. */
  listDeadAddresses(query: DeadAddressQuery): Promise<DeadAddressPage>;

  /** Takes a mark away. @returns whether there was one */
  reviveAddress(address: Address, atMs: EpochMs): Promise<boolean>;
}

/** What is kept about a user beside their inbox. Texts are kept byte for byte. */
export interface Recipient extends UserKey {
  readonly addresses: Addresses;
  /** BCP 47; '': not known. */
  readonly locale: string;
  /** IANA; '': not known. */
  readonly timeZone: string;
  /** A JSON object as text. */
  readonly attributes: string | undefined;
}

/** None of them is ''. */
export type Addresses = Readonly<Partial<Record<Channel, string>>>;

export interface DestinationLookUp extends UserKey {
  /** Whether the devices are asked for too. */
  readonly devices: boolean;
}

export interface KnownDestinations {
  readonly addresses: Addresses;
  /** Oldest first; none where they were not asked for. */
  readonly devices: readonly Pick<Device, 'deviceType' | 'token'>[];
}

/** A tenant's address on a channel, as requests and records give it. */
export interface Address {
  readonly tenantId: string;
  readonly channel: Channel;
  readonly address: string;
}

/** An address where nobody is reached, and why. */
export interface DeadAddress extends Address {
  /** bounced or complained. */
  readonly reason: Reason;
  /** When it was found dead: of an attempt when that began. */
  readonly atMs: EpochMs;
}

export interface DeadAddressQuery {
  readonly tenantId: string;
  readonly channel: Channel | undefined;
  readonly after: DeadAddressPlace | undefined;
  /** 1 to 1,000. */
  readonly limit: number;
}

/** Where a page ends. */
export interface DeadAddressPlace {
  readonly atMs: EpochMs;
  readonly channel: Channel;
  /** The address's own, in hex. */
  readonly hash: string;
}

export interface DeadAddressPage {
  readonly addresses: readonly DeadAddress[];
  /** Where the next page begins; undefined on the last one. */
  readonly next: DeadAddressPlace | undefined;
}

/** Channels on which addresses are marked as dead. Push endpoints are devices, and removed. */
export const markedChannels: ReadonlySet<Channel> = new Set([
  'email',
  'sms',
  'whatsapp',
  'webhook',
  'chat',
] as const);

/** What a delivery to a dead address is suppressed with, whatever it died of. */
export const deadReason: Reason = 'bounced';

/**
 * What two spellings of one address have in common: mail servers tell no case apart (RFC 5321 §2.4 lets them, and providers report
 * bounces in lower case), and a WhatsApp number may have its prefix.
 */
export function identityOf({ channel, address }: Pick<Address, 'channel' | 'address'>): string {
  if (channel === 'email') return address.toLowerCase();
  return channel === 'whatsapp' ? address.replace(/^whatsapp:/, '') : address;
}
