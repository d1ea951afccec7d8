import type { Device, UserKey } from '../../../src/core/glossary.ts';
import type { DeadToken, DeviceName, NewDevice } from '../../../src/core/store.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { estimateDeviceBytes } from './estimate.ts';
import type { Room } from './room.ts';

/** The devices of all tenants. */
export class DeviceTable {
  readonly #room: Room;
  /** By user, and in there by device type and id. */
  readonly #byUser = new Map<string, Map<string, Device>>();
  /** By tenant, and in there by token: a token belongs to one device of a tenant. */
  readonly #byToken = new Map<string, Map<string, Device>>();

  constructor(room: Room) {
    this.#room = room;
  }

  /**
   * See Store.registerDevice.
   * @throws NotifyError resource_exhausted
   */
  put(device: NewDevice): Device {
    const replaced = this.#replacedBy(device);
    this.#room.claim(estimateDeviceBytes(device) - bytesOf(replaced));
    const devices = this.#byUser.get(userKey(device)) ?? new Map<string, Device>();
    const tokens = this.#byToken.get(device.tenantId) ?? new Map<string, Device>();
    const key = deviceKey(device);
    const previous = devices.get(key);
    const stored: Device = {
      tenantId: device.tenantId,
      userId: device.userId,
      id: previous?.id ?? device.id,
      deviceType: device.deviceType,
      deviceId: device.deviceId,
      token: device.token,
      createdAtMs: previous?.createdAtMs ?? device.atMs,
      updatedAtMs: device.atMs,
    };
    for (const gone of replaced) {
      tokens.delete(gone.token);
      if (gone !== previous) this.#removeFromUser(gone);
    }
    devices.set(key, stored);
    tokens.set(stored.token, stored);
    this.#byUser.set(userKey(device), devices);
    this.#byToken.set(device.tenantId, tokens);
    return stored;
  }

  /** Oldest first. */
  list(owner: UserKey): Device[] {
    return [...(this.#byUser.get(userKey(owner))?.values() ?? [])].sort(
      (a, b) =>
        Number(a.createdAtMs > b.createdAtMs) - Number(a.createdAtMs < b.createdAtMs) ||
        (a.id < b.id ? -1 : 1),
    );
  }

  /** @returns whether there was such a device */
  remove(owner: UserKey, which: DeviceName | DeadToken): boolean {
    const devices = [...(this.#byUser.get(userKey(owner))?.values() ?? [])];
    const found = devices.find((device) =>
      'token' in which
        ? device.token === which.token && device.updatedAtMs < which.triedAtMs
        : device.deviceType === which.deviceType && device.deviceId === which.deviceId,
    );
    if (found === undefined) return false;
    this.#byToken.get(found.tenantId)?.delete(found.token);
    this.#removeFromUser(found);
    this.#room.release(bytesOf([found]));
    return true;
  }

  clear(): void {
    this.#byUser.clear();
    this.#byToken.clear();
  }

  /** What `put` would replace: the device of this key, and the one that holds the token, where it is another. */
  #replacedBy(device: NewDevice): Device[] {
    const same = this.#byUser.get(userKey(device))?.get(deviceKey(device));
    const holder = this.#byToken.get(device.tenantId)?.get(device.token);
    return [...new Set([same, holder])].filter((found) => found !== undefined);
  }

  #removeFromUser(device: Device): void {
    const devices = this.#byUser.get(userKey(device));
    devices?.delete(deviceKey(device));
    if (devices?.size === 0) this.#byUser.delete(userKey(device));
  }
}

const bytesOf = (devices: readonly Device[]): number =>
  devices.reduce((sum, device) => sum + estimateDeviceBytes(device), 0);

/** One string for type and id; the length in front keeps pairs apart whatever characters they hold. */
const deviceKey = (device: { readonly deviceType: string; readonly deviceId: string }): string =>
  `${device.deviceType.length}:${device.deviceType}${device.deviceId}`;
