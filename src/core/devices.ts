import type { Ambient } from './ambient.ts';
import { invalidArgument } from './errors.ts';
import { type DeviceType, deviceTypes, type UserKey } from './glossary.ts';
import { limits, Violations } from './notifier/validate.ts';
import type { Store } from './store.ts';

/** The push endpoints of recipients. */
export class Devices {
  readonly #store: Store;
  readonly #ambient: Ambient;

  constructor(store: Store, ambient: Ambient) {
    this.#store = store;
    this.#ambient = ambient;
  }

  /**
   * Stores a device's token in place of its previous one. The token leaves every other user of the tenant.
   * @param device without a type it is refused
   * @throws NotifyError invalid_argument
   */
  async register(
    owner: UserKey,
    device: { deviceType: DeviceType | undefined; deviceId: string; token: string },
  ): Promise<void> {
    const { deviceType, deviceId, token } = device;
    const v = new Violations();
    if (deviceType === undefined)
      v.add(
        'device_type',
        `must be one of ${deviceTypes.map((t) => `DEVICE_TYPE_${t.toUpperCase()}`).join(', ')}`,
      );
    v.text('token', token, limits.addressBytes, true);
    v.text('device_id', deviceId, limits.idBytes);
    if (deviceType === undefined || v.found.length > 0) throw invalidArgument(v.found);
    await this.#store.registerDevice({
      ...owner,
      id: this.#ambient.ids.next(),
      deviceType,
      deviceId,
      token,
      atMs: BigInt(this.#ambient.clock.now()),
    });
  }
}
