import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deliveryOf, type Ground } from './ground.ts';

const int64Max = 2n ** 63n - 1n;

const texts = [
  'Überraschung, naïve façade',
  '日本語の通知',
  '👩‍👩‍👧‍👦 🏳️‍🌈',
  `it's "quoted" and \`ticked\` \\ back`,
  "Robert'); DROP TABLE students; --",
  '100% _done_ %s $1 {{x}}',
  '  spaces around  \t',
  'line\nbreaks\r\nboth',
  'e\u0301 is not é',
  '\u0001\u001f\u007f\u200b\ufeff',
  '',
  'x'.repeat(10_000),
];

/** That the store keeps what it is given. */
export function values(ground: Ground): void {
  describe('values', () => {
    it('keeps texts byte for byte', async () => {
      const owner = ground.user();
      for (const text of texts) {
        const content = {
          type: text,
          subjectRef: text,
          subjectType: text,
          title: text,
          body: text,
          data: text,
          actionUrl: text,
          iconUrl: text,
          actions: [{ label: text, url: text }],
        };
        const key = `${text.slice(0, 200)}-${ground.fresh('note')}`;
        const deliveries = [
          ground.inApp(owner),
          ground.email({ destination: text || 'x', provider: 'smtp' }),
        ];
        const { id } = await ground.add(owner, { key, content, deliveries });
        const stored = await ground.store.getNotification(owner, id);
        assert.deepEqual({ ...stored, ...content, notificationId: key }, stored);
        assert.equal(deliveryOf(stored, 'email').destination, text || 'x');
      }
    });

    it('keeps what was left out apart from what was empty', async () => {
      const owner = ground.user();
      const unset = await ground.add(owner);
      const empty = await ground.add(owner, { content: { data: '', actionUrl: '', iconUrl: '' } });
      const read = (id: string) => ground.store.getNotification(owner, id);
      const pick = ({ data, actionUrl, iconUrl }: typeof unset) => [data, actionUrl, iconUrl];
      assert.deepEqual(pick(await read(unset.id)), [undefined, undefined, undefined]);
      assert.deepEqual(pick(await read(empty.id)), ['', '', '']);
    });

    it('keeps data as the text it was, spaces and order of keys included', async () => {
      const owner = ground.user();
      const data = '{"z":1,  "a":[1.0, 1e3, 12345678901234567890], "z":2}';
      const { id } = await ground.add(owner, { content: { data } });
      assert.equal((await ground.store.getNotification(owner, id)).data, data);
    });

    it('keeps bodies of 64 and 512 KiB', async () => {
      const owner = ground.user();
      for (const kib of [64, 512]) {
        const bytes = kib * 1_024;
        const body = 'aé日👍\n"'.repeat(bytes / 12) + 'z'.repeat(bytes % 12); // 12 bytes in UTF-8
        assert.equal(Buffer.byteLength(body), bytes);
        const { id } = await ground.add(owner, { content: { body } });
        assert.ok((await ground.store.getNotification(owner, id)).body === body, `${kib} KiB`);
      }
    });

    it('keeps every urgency', async () => {
      const owner = ground.user();
      for (const urgency of ['low', 'normal', 'high', 'critical', undefined] as const) {
        const { id } = await ground.add(owner, { content: { urgency } });
        assert.equal((await ground.store.getNotification(owner, id)).urgency, urgency);
      }
    });

    it('keeps times up to the largest int64, and above 2^53 to the millisecond', async () => {
      const owner = ground.user();
      for (const time of [1n, 2n ** 53n + 1n, int64Max]) {
        const added = await ground.add(owner, { createdAtMs: time, content: { expiresAtMs: int64Max - 1n } });
        await ground.take(added, { atMs: time });
        await ground.take(added, { status: 'acked', atMs: time });
        await ground.read(owner, added, time);
        await ground.change(owner, { kind: 'archive', id: added.id, atMs: time });
        const stored = await ground.store.getNotification(owner, added.id);
        const { deliveredAtMs, ackAtMs } = deliveryOf(stored, 'in_app');
        const { createdAtMs, readAtMs, archivedAtMs } = stored;
        assert.deepEqual(
          [createdAtMs, deliveredAtMs, ackAtMs, readAtMs, archivedAtMs],
          Array.from({ length: 5 }, () => time),
        );
        assert.equal(stored.expiresAtMs, int64Max - 1n);
      }
    });

    it('keeps ids of 256 characters', async () => {
      const long = (char: string) => char.repeat(256);
      const owner = { tenantId: `${ground.fresh('t')}${long('t')}`.slice(0, 256), userId: long('ü') };
      const stored = await ground.add(owner, { key: long('k') });
      const read = await ground.store.getNotification(owner, stored.id);
      assert.deepEqual(
        [read.tenantId, read.userId, read.notificationId],
        [owner.tenantId, owner.userId, long('k')],
      );
      assert.equal((await ground.createOne(ground.draft(owner, { key: long('k') }))).created, false);
      assert.equal((await ground.createOne(ground.draft(owner, { key: long('k').slice(1) }))).created, true);
    });
  });
}
