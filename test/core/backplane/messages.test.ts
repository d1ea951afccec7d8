import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeEnvelope, encodeEnvelope } from '../../../src/core/backplane/envelope.ts';
import { encodeMessage, type Message } from '../../../src/core/backplane/messages.ts';

const owner = { tenantId: 'demo', userId: 'alice' };
const summary = { unreadCount: 1, unseenCount: 1, version: 7 };
const hint = { idempotencyKey: 'k', subjectRef: 'doc/1', subjectType: 'doc' };

const arrives = (message: unknown) => decodeEnvelope(JSON.stringify(['a', 1, [message]]));

/** Texts of at most 1,024 bytes of UTF-8, of characters that JSON likes and of those that it escapes. */
const id = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 200 }),
    fc.string({ unit: fc.constantFrom('\u0001', '"', '\\', '\n', 'é', '文'), maxLength: 340 }),
    fc.constant('\u001f'.repeat(1_024)),
  )
  .filter((text) => text.isWellFormed() && Buffer.byteLength(text) <= 1_024);
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const key = fc.record({ tenantId: id, userId: id });
const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  fc.constant({ kind: 'due' as const }),
  fc.record({ kind: fc.constantFrom('item' as const, 'erased' as const), owner: key, position: count }),
  fc.record({
    kind: fc.constant('inbox' as const),
    owner: key,
    change: fc.record({
      summary: fc.record({ unreadCount: count, unseenCount: count, version: count }),
    }),
  }),
  fc.record({
    kind: fc.constant('hint' as const),
    owners: key.map((one) => [one]),
    hint: fc.record({ idempotencyKey: id, subjectRef: id, subjectType: id }),
  }),
  fc.record({ kind: fc.constant('ack' as const), owner: key, sessionId: fc.uuid(), idempotencyKey: id }),
);

describe('a message between replicas', () => {
  it('arrives as it was sent, whatever characters its ids have', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const text = encodeEnvelope('f'.repeat(36), Number.MAX_SAFE_INTEGER, [encodeMessage(message)]);
        // without the null prototypes of the generator
        assert.deepEqual(decodeEnvelope(text)?.messages, [JSON.parse(JSON.stringify(message))]);
      }),
      { numRuns: 300, seed: 20261127 },
    );
  });

  it('with lists arrives as it was sent', () => {
    const messages: Message[] = [
      { kind: 'taken', ids: ['a', 'b'] },
      { kind: 'presence', users: [['a', 2]], first: true },
      { kind: 'presence', users: [], last: true },
      {
        kind: 'inbox',
        owner,
        change: { summary, readIds: ['a'], unreadIds: [], removedIds: ['b', 'c'], readUpToPosition: 9 },
      },
      { kind: 'hello', to: '' },
      { kind: 'part', at: 0, of: 2, bytes: 'AAAA' },
    ];
    for (const message of messages) assert.deepEqual(arrives(message)?.messages, [message]);
  });

  it('is dropped where a field is missing or of the wrong type, and those beside it are kept', () => {
    const wrong: unknown[] = [
      null,
      7,
      'due',
      { kind: 'item' },
      { kind: 'item', owner, position: 1.5 },
      { kind: 'item', owner, position: -1 },
      { kind: 'item', owner, position: 2 ** 53 },
      { kind: 'item', owner: { tenantId: 'demo' }, position: 1 },
      { kind: 'item', owner: 'alice', position: 1 },
      { kind: 'erased', owner, position: 'x' },
      { kind: 'inbox', owner, change: {} },
      { kind: 'inbox', owner, change: { summary: { ...summary, version: 1.5 } } },
      { kind: 'inbox', owner, change: { summary: { ...summary, unreadCount: 1.5 } } },
      { kind: 'inbox', owner, change: { summary: { ...summary, unseenCount: null } } },
      { kind: 'inbox', owner, change: { summary, readIds: 'a' } },
      { kind: 'inbox', owner, change: { summary, removedIds: [7] } },
      { kind: 'inbox', owner, change: { summary, readUpToPosition: '9' } },
      { kind: 'hint', owners: owner, hint },
      { kind: 'hint', owners: [null], hint },
      { kind: 'hint', owners: [owner], hint: { ...hint, subjectRef: 7 } },
      { kind: 'ack', owner, sessionId: 7, idempotencyKey: 'k' },
      { kind: 'taken', ids: [null] },
      { kind: 'presence', users: 7 },
      { kind: 'presence', users: [['a']] },
      { kind: 'presence', users: [['a', -1]] },
      { kind: 'hello' },
      { kind: 'part', at: 0, of: 1, bytes: 7 },
      { kind: 'part', at: 0, of: '1', bytes: '' },
    ];
    for (const message of wrong) {
      const envelope = decodeEnvelope(JSON.stringify(['a', 1, [{ kind: 'due' }, message, { kind: 'due' }]]));
      const { messages, malformed } = envelope ?? {};
      assert.deepEqual(
        [messages, malformed],
        [[{ kind: 'due' }, { kind: 'due' }], 1],
        JSON.stringify(message),
      );
    }
  });

  it('of a newer version is ignored where its kind is unknown, and taken without the fields that are', () => {
    const { messages, malformed } = arrives({ kind: 'topic', topic: { name: 'x' } }) ?? {};
    assert.deepEqual([messages, malformed], [[], 0]);
    const newer = {
      kind: 'inbox',
      owner: { ...owner, region: 'eu' },
      change: { summary: { ...summary, mutedCount: 1 }, updated: [{ id: 7 }], pinnedIds: 7 },
      traceId: 7,
    };
    assert.deepEqual(arrives(newer)?.messages, [{ kind: 'inbox', owner, change: { summary } }]);
    const text = JSON.stringify(['a', 1, [{ kind: 'due' }], { version: 2 }]);
    assert.deepEqual(decodeEnvelope(text)?.messages, [{ kind: 'due' }]);
  });
});

describe('an envelope', () => {
  it('is none where its sender or its number cannot be', () => {
    const numbers = ['-1', '1.5', '1e300', '9007199254740992', 'null', '"1"'];
    for (const text of [
      '',
      '7',
      'null',
      '{}',
      '[]',
      '["a",1]',
      '["a",1,{}]',
      '["",1,[]]',
      '[7,1,[]]',
      JSON.stringify(['a'.repeat(65), 1, []]),
      ...numbers.map((number) => `["a",${number},[]]`),
    ])
      assert.equal(decodeEnvelope(text), undefined, text);
  });
});
