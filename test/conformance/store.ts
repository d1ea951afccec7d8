import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import type { Ambient } from '../../src/core/ambient.ts';
import type { Store } from '../../src/core/store.ts';
import { fakeAmbient } from '../support/ambient.ts';
import { changes } from './store/changes.ts';
import { creating } from './store/creating.ts';
import { deadAddresses } from './store/dead-addresses.ts';
import { devices } from './store/devices.ts';
import { erasing } from './store/erasing.ts';
import { expiry } from './store/expiry.ts';
import { Ground } from './store/ground.ts';
import { isolation } from './store/isolation.ts';
import { items } from './store/items.ts';
import { lifecycle } from './store/lifecycle.ts';
import { listing } from './store/listing.ts';
import { losses } from './store/losses.ts';
import { outbox } from './store/outbox.ts';
import { outcomes } from './store/outcomes.ts';
import { parallelCalls } from './store/parallel-calls.ts';
import { properties } from './store/properties.ts';
import { receipts } from './store/receipts.ts';
import { recipients } from './store/recipients.ts';
import { repeats } from './store/repeats.ts';
import { streaming } from './store/streaming.ts';
import { values } from './store/values.ts';

export interface StoreConformanceOptions {
  /** Random cases per property; default 50, which a database can bear. */
  readonly runs?: number;
}

/**
 * What every store driver has to do. Call it once in a driver's test file.
 *
 * @param name the driver, as the report shows it
 * @param open a store that is empty or holds only other tenants' rows; it takes time from `ambient`, which only the
 *   tests move. Called once for the suite, and again for tests that close a store. It must have room for 20 MiB
 *   and for 300 rows a user.
 */
export function storeConformance(
  name: string,
  open: (ambient: Ambient) => Promise<Store>,
  options: StoreConformanceOptions = {},
): void {
  describe(`${name} store`, () => {
    const ambient = fakeAmbient();
    let store: Store | undefined;
    before(async () => {
      store = await open(ambient);
    });
    after(() => store?.close());
    const ground = new Ground(() => {
      assert.ok(store, 'the store is open');
      return store;
    }, ambient);
    creating(ground);
    repeats(ground);
    values(ground);
    isolation(ground);
    listing(ground);
    changes(ground);
    streaming(ground);
    expiry(ground);
    outcomes(ground);
    outbox(ground);
    receipts(ground, options.runs ?? 50);
    losses(ground, options.runs ?? 50);
    items(ground);
    parallelCalls(ground);
    devices(ground);
    recipients(ground);
    deadAddresses(ground);
    erasing(ground);
    properties(ground, options.runs ?? 50);
    lifecycle(ground, () => open(ambient));
  });
}
