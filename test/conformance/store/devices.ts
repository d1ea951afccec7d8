import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DeviceType } from '../../../src/core/glossary.ts';
import { at, type Ground, parallel } from './ground.ts';

/** Push endpoints. */
export function devices(ground: Ground): void {
  const register = (...args: Parameters<Ground['device']>) =>
    ground.store.registerDevice(ground.device(...args));

  describe('devices', () => {
    it('reads a device back as it was stored', async () => {
      const owner = ground.user();
      const token = JSON.stringify({ endpoint: 'https://push.example/é', keys: { auth: "'" } });
      const given = ground.device(owner, {
        deviceType: 'ios',
        deviceId: 'Phone 1',
        token,
        atMs: 2n ** 63n - 1n,
      });
      const stored = await ground.store.registerDevice(given);
      const { atMs, ...rest } = given;
      assert.deepEqual(stored, { ...rest, createdAtMs: atMs, updatedAtMs: atMs });
      assert.deepEqual(await ground.store.listDevices(owner), [stored]);
    });

    it('replaces the token of a device and keeps its id', async () => {
      const owner = ground.user();
      const first = await register(owner, { token: 'old', atMs: 1_000n });
      const second = await register(owner, { token: 'new', atMs: 2_000n });
      assert.deepEqual(second, { ...first, token: 'new', updatedAtMs: 2_000n });
      assert.deepEqual(await ground.store.listDevices(owner), [second]);
      assert.deepEqual(
        await register({ ...owner, userId: 'bob' }, { token: 'old' }).then(({ token }) => token),
        'old',
      );
      assert.deepEqual(await ground.store.listDevices(owner), [second], 'the old token is free');
    });

    it('takes a second registration of the same token as the same device', async () => {
      const owner = ground.user();
      const first = await register(owner, { token: 'same', atMs: 1_000n });
      const second = await register(owner, { token: 'same', atMs: 2_000n });
      assert.deepEqual(second, { ...first, updatedAtMs: 2_000n });
      assert.deepEqual(await ground.store.listDevices(owner), [second]);
    });

    it('keeps several devices of a user, oldest first', async () => {
      const owner = ground.user();
      const given = [
        { deviceType: 'ios', deviceId: 'b', atMs: 3n },
        { deviceType: 'ios', deviceId: 'a', atMs: 1n },
        { deviceType: 'android', deviceId: 'a', atMs: 2n },
        { deviceType: 'ios', deviceId: '', atMs: 4n },
      ] as const;
      for (const each of given) await register(owner, each);
      await register(owner, { deviceType: 'ios', deviceId: 'a', atMs: 9n });
      assert.deepEqual(
        (await ground.store.listDevices(owner)).map(({ createdAtMs }) => createdAtMs),
        [1n, 2n, 3n, 4n],
      );
    });

    it('keeps device types and ids apart that differ in case', async () => {
      const owner = ground.user();
      for (const deviceType of ['browser', 'Browser', 'BROWSER'] as DeviceType[])
        for (const deviceId of ['phone', 'Phone', ' phone']) await register(owner, { deviceType, deviceId });
      const stored = await ground.store.listDevices(owner);
      assert.equal(stored.length, 9);
      assert.equal(new Set(stored.map(({ id }) => id)).size, 9);
    });

    it('keeps device types and ids apart that would join alike', async () => {
      const owner = ground.user();
      for (const [deviceType, deviceId] of [
        ['ios', '|a'],
        ['ios|', 'a'],
        ['ios', ':a'],
        ['ios:', 'a'],
        ['3:ios', 'a'],
      ] as const)
        await register(owner, { deviceType: deviceType as DeviceType, deviceId });
      assert.equal((await ground.store.listDevices(owner)).length, 5);
    });

    it('takes a token from whoever in the tenant had it, whatever the device type', async () => {
      const owner = ground.user();
      const bob = { ...owner, userId: 'bob' };
      await register(owner, { deviceType: 'android', token: 'shared' });
      const kept = await register(owner, { deviceType: 'browser', token: 'own' });
      const taken = await register(bob, { deviceType: 'ios', token: 'shared' });
      assert.deepEqual(await ground.store.listDevices(owner), [kept]);
      assert.deepEqual(await ground.store.listDevices(bob), [taken]);
      const back = await register(owner, { deviceType: 'android', token: 'shared' });
      assert.deepEqual(
        (await ground.store.listDevices(owner)).map(({ id }) => id).sort(),
        [kept.id, back.id].sort(),
      );
      assert.deepEqual(await ground.store.listDevices(bob), []);
    });

    it('takes a token from another device of the same user too', async () => {
      const owner = ground.user();
      await register(owner, { deviceType: 'ios', deviceId: 'a', token: 'shared' });
      const second = await register(owner, { deviceType: 'ios', deviceId: 'b', token: 'shared' });
      assert.deepEqual(await ground.store.listDevices(owner), [second]);
    });

    it('compares tokens exactly', async () => {
      const owner = ground.user();
      for (const [i, token] of ['abc', 'ABC', 'abc '].entries())
        await register(owner, { deviceId: `${i}`, token });
      assert.equal((await ground.store.listDevices(owner)).length, 3);
    });

    it('keeps users and tenants apart', async () => {
      const owner = ground.user();
      const bob = { ...owner, userId: 'bob' };
      const stranger = { ...ground.user(), userId: owner.userId };
      const mine = await register(owner, { token: 'one' });
      const his = await register(bob, { token: 'two' });
      const theirs = await register(stranger, { token: 'one' });
      assert.deepEqual(await ground.store.listDevices(owner), [mine]);
      assert.deepEqual(await ground.store.listDevices(bob), [his]);
      assert.deepEqual(await ground.store.listDevices(stranger), [theirs]);
    });

    it('forgets a device by its type and id, and says whether there was one', async () => {
      const owner = ground.user();
      const bob = { ...owner, userId: 'bob' };
      await register(owner, { deviceType: 'ios', deviceId: 'a', token: 'one' });
      const kept = await register(owner, { deviceType: 'ios', deviceId: 'b', token: 'two' });
      const name = { deviceType: 'ios', deviceId: 'a' } as const;
      assert.equal(await ground.store.removeDevice(bob, name), false);
      assert.equal(await ground.store.removeDevice({ ...ground.user(), userId: owner.userId }, name), false);
      assert.equal(await ground.store.removeDevice(owner, name), true);
      assert.equal(await ground.store.removeDevice(owner, name), false);
      assert.deepEqual(await ground.store.listDevices(owner), [kept]);
      await register(bob, { token: 'one' });
      assert.equal((await ground.store.listDevices(bob)).length, 1, 'its token is free');
    });

    it('forgets a dead token, but not one that was registered after it was tried', async () => {
      const owner = ground.user();
      await register(owner, { deviceType: 'android', token: 'dead', atMs: 1_000n });
      const dead = (triedAtMs: bigint) => ground.store.removeDevice(owner, { token: 'dead', triedAtMs });
      assert.equal(await dead(1_000n), false);
      assert.equal(await ground.store.removeDevice(owner, { token: 'other', triedAtMs: 2_000n }), false);
      assert.equal(
        await ground.store.removeDevice({ ...owner, userId: 'bob' }, { token: 'dead', triedAtMs: 2_000n }),
        false,
      );
      assert.equal(await dead(1_001n), true);
      assert.deepEqual(await ground.store.listDevices(owner), []);
    });

    it('leaves one device after 16 registrations at once', async () => {
      const owner = ground.user();
      const stored = await parallel(16, (i) => register(owner, { token: `token-${i}` }));
      const left = await ground.store.listDevices(owner);
      assert.equal(left.length, 1);
      assert.deepEqual([...new Set(stored.map(({ id }) => id))], [at(left, 0).id]);
      assert.ok(stored.some(({ token }) => token === at(left, 0).token));
    });

    it('leaves a token with one user after 16 took it at once', async () => {
      const { tenantId } = ground.user();
      const users = Array.from({ length: 16 }, (_, i) => ({ tenantId, userId: `user-${i}` }));
      await parallel(16, (i) => register(at(users, i), { token: 'shared' }));
      const left = await Promise.all(users.map((owner) => ground.store.listDevices(owner)));
      assert.equal(left.flat().length, 1);
    });
  });
}
