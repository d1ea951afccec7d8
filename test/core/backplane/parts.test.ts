import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Malformed, type Message } from '../../../src/core/backplane/messages.ts';
import { inParts, PartsOfPeers } from '../../../src/core/backplane/parts.ts';

const message = (userId: string): Message => ({
  kind: 'item',
  owner: { tenantId: 'demo', userId },
  position: 7,
});

describe('a message in parts', () => {
  const text = Array.from({ length: 1_000 }, (_, i) => `${i}文"\u0001`).join('');
  const long = inParts(message(text));

  it('is heard with its last part, whatever its characters, each peer for itself', () => {
    const heard = new PartsOfPeers();
    const other = inParts(message('x'.repeat(8_000)));
    const [ours, theirs] = [long, other].map(() => [] as (Message | undefined)[]);
    for (let i = 0; i < Math.max(long.length, other.length); i += 1) {
      for (const part of long.slice(i, i + 1)) ours?.push(heard.heard('a', part));
      for (const part of other.slice(i, i + 1)) theirs?.push(heard.heard('b', part));
    }
    assert.ok(long.length > 3 && other.length > 1);
    assert.deepEqual(ours, [...Array(long.length - 1).fill(undefined), message(text)]);
    assert.deepEqual(theirs, [...Array(other.length - 1).fill(undefined), message('x'.repeat(8_000))]);
  });

  it('is not heard where one is missing, comes twice or has been overtaken; and the next one is', () => {
    const [first, second, third, ...rest] = long;
    assert.ok(first && second && third && rest.length > 0);
    for (const parts of [
      [first, third, ...rest],
      [second, third, ...rest],
      [first, first, second, ...rest],
      [first, second, second, ...rest],
      [first, third, second, ...rest],
    ]) {
      const heard = new PartsOfPeers();
      for (const part of parts) assert.equal(heard.heard('a', part), undefined);
      assert.deepEqual(long.map((part) => heard.heard('a', part)).at(-1), message(text));
    }
  });

  it('is none where there are too many, or where they make no message', () => {
    const heard = new PartsOfPeers();
    const part = (at: number, of: number, text: string) =>
      heard.heard('a', { kind: 'part', at, of, bytes: Buffer.from(text).toString('base64') });
    for (const text of ['a secret', '{"kind":"item"}', '7'])
      assert.throws(
        () => part(0, 1, text),
        (error: Malformed) => {
          return error instanceof Malformed && !error.message.includes('secret');
        },
      );
    part(0, 2, '{"kind":');
    part(1, 1_000_000, '"item"');
    assert.equal(part(2, 3, '}'), undefined);
    assert.equal(part(0, 1, '{"kind":"of a newer version"}'), undefined);
  });
});
