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
    requireType(v, deviceType);
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

  /**
   * Forgets a device, as when its user signs out of it. One that is not there is fine.
   * @throws NotifyError invalid_argument
   */
  async unregister(
    owner: UserKey,
    { deviceType, deviceId }: { deviceType: DeviceType | undefined; deviceId: string },
  ): Promise<void> {
    const v = new Violations();
    requireType(v, deviceType);
    v.text('device_id', deviceId, limits.idBytes);
    if (deviceType === undefined || v.found.length > 0) throw invalidArgument(v.found);
    await this.#store.removeDevice(owner, { deviceType, deviceId });
  }
}

function requireType(v: Violations, deviceType: DeviceType | undefined): void {
  if (deviceType !== undefined) return;
  const known = deviceTypes.map((type) => `DEVICE_TYPE_${type.toUpperCase()}`).join(', ');
  v.add('device_type', `must be one of ${known}`);
}
