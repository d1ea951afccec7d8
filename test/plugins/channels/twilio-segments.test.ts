import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { segmentsOf } from '../../../plugins/channels/twilio/segments.ts';

describe('the segments of an SMS', () => {
  const cases: readonly (readonly [text: string, encoding: string, count: number])[] = [
    ['', 'GSM-7', 1],
    ['a'.repeat(160), 'GSM-7', 1],
    ['a'.repeat(161), 'GSM-7', 2],
    ['a'.repeat(306), 'GSM-7', 2],
    ['a'.repeat(307), 'GSM-7', 3],
    // the euro takes two places, and its two are not parted
    ['€'.repeat(80), 'GSM-7', 1],
    ['€'.repeat(81), 'GSM-7', 2],
    [`${'a'.repeat(152)}€${'a'.repeat(151)}`, 'GSM-7', 2],
    [`${'a'.repeat(152)}€${'a'.repeat(152)}`, 'GSM-7', 3],
    ['ç', 'UCS-2', 1],
    ['я'.repeat(70), 'UCS-2', 1],
    ['я'.repeat(71), 'UCS-2', 2],
    ['я'.repeat(135), 'UCS-2', 3],
    ['👋'.repeat(35), 'UCS-2', 1],
    ['👋'.repeat(36), 'UCS-2', 2],
    // a part of 67 has room for 33 pairs
    ['👋'.repeat(67), 'UCS-2', 3],
  ];
  for (const [text, encoding, count] of cases)
    it(`are ${count} of ${encoding} for ${[...text].length} characters of ${[...new Set(text)].join('')}`, () => {
      assert.deepEqual(segmentsOf(text), { encoding, count });
    });

  it('are as many as the room of each needs, and few more', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 1_600 }), (text) => {
        const { encoding, count } = segmentsOf(text);
        const each = encoding === 'GSM-7' ? 153 : 67;
        if (count > 1) assert.ok(count >= Math.ceil(text.length / each));
        assert.ok(count <= Math.ceil((2 * text.length) / (each - 1)) + 1);
      }),
    );
  });
});
