import assert from 'node:assert/strict';
import { it } from 'node:test';
import { asChunk } from '../../../routes/live/chunk.ts';

it('a chunk says how many bytes it has, and is made once for all who are sent one body in a row', () => {
  const text = `data: ${'漢🚀'.repeat(3)}\n\n`;
  const chunk = asChunk(text);
  assert.equal(chunk, `1d\r\n${text}\r\n`);
  const bytes = new Uint8Array([1, 2, 3]);
  assert.deepEqual(Buffer.from(asChunk(bytes)), Buffer.from('3\r\n\x01\x02\x03\r\n'));
  assert.equal(asChunk(bytes), asChunk(bytes));
});
