import { createHash } from 'node:crypto';
import { type Address, identityOf } from '../../src/core/addresses.ts';

/** What an address is found by, whatever its length and spelling: SHA-256, in hex. */
export const hashOf = (address: Pick<Address, 'channel' | 'address'>): string =>
  createHash('sha256').update(identityOf(address)).digest('hex');
