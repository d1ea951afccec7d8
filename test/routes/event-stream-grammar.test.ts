/**
 * What of the WHATWG's event streams (HTML §9.2.5, §9.2.6) a server can break: each by a case that looks at the bytes, and then by
 * what a client that follows the specification makes of them.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { EventSource } from 'eventsource';
import fc from 'fast-check';
import { as } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { type StreamService, serve } from '../support/serve.ts';

/** The bytes of a stream on which these titles were sent, as text. */
async function bodyOf(t: TestContext, titles: readonly string[]): Promise<string> {
  const service = await serve(t);
  const response = await fetch(`${service.url.client}/v1/events`, { headers: as('alice') });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  service.closeFirst(() => void reader.cancel().catch(() => {}));
  const chunks: Uint8Array[] = [];
  const read = async (until: string) => {
    while (!Buffer.concat(chunks).includes(until)) {
      const { value, done } = await reader.read();
      assert.ok(!done, 'the stream goes on');
      chunks.push(value);
    }
  };
  await read('event: inbox');
  for (const title of titles) await service.notify('alice', { title });
  await service.notify('alice', { title: 'the last one' });
  await read('the last one');
  await read('\n\n');
  return Buffer.concat(chunks).toString();
}

/** A client by the specification, and what it was told. */
async function listen(t: TestContext, service: StreamService, query = '') {
  const source = new EventSource(`${service.url.client}/v1/events?access_token=dev:alice:demo${query}`);
  t.after(() => source.close());
  const seen: { title: string; lastEventId: string }[] = [];
  const kinds: string[] = [];
  for (const kind of ['heartbeat', 'reset', 'inbox', 'message'])
    source.addEventListener(kind, () => kinds.push(kind));
  source.addEventListener('notification', ({ data, lastEventId }) =>
    seen.push({ title: JSON.parse(data).title, lastEventId }),
  );
  await eventually('it is open', () => kinds.includes('inbox'));
  return { seen, kinds };
}

const hostile = [
  'a\nb',
  'a\rb',
  'a\r\nb',
  '\n\n',
  ': comment',
  'data: x\n\ndata: y',
  'id: 7\nretry: 1\n\n',
  '\ufeffa',
];

describe('an event stream', () => {
  it('has line feeds alone for line ends, also where a text has others', async (t) => {
    const body = await bodyOf(t, hostile);
    assert.ok(!body.includes('\r'));
    for (const line of body.split('\n'))
      assert.match(line, /^(id: \d+|event: [a-z_]+|data: .*|retry: \d+|)$/);
  });

  it('has no byte order mark: a client drops one at the start, and no second one', async (t) => {
    const body = await bodyOf(t, ['\ufeffmarked']);
    assert.ok(!body.startsWith('\ufeff'));
    assert.match(body, /^retry: /);
    const service = await serve(t);
    const { seen } = await listen(t, service);
    await service.notify('alice', { title: '\ufeffmarked' });
    await eventually('it arrived', () => seen.length === 1);
    assert.equal(seen[0]?.title, '\ufeffmarked');
  });

  it('has one line of data for each event, so that no text can end it', async (t) => {
    const body = await bodyOf(t, hostile);
    const blocks = body.split('\n\n').filter((block) => block.includes('event: '));
    for (const block of blocks) assert.equal(block.match(/^data: /gm)?.length, 1, block);
    const service = await serve(t);
    const { seen, kinds } = await listen(t, service);
    for (const title of hostile) await service.notify('alice', { title });
    await eventually('all arrived', () => seen.length === hostile.length);
    assert.deepEqual(
      seen.map(({ title }) => title),
      hostile,
    );
    assert.ok(!kinds.includes('message') && !kinds.includes('reset'));
  });

  it('has decimal ids, so none with a NUL, which a client would pass over; and takes one that comes back as no position', async (t) => {
    const body = await bodyOf(t, hostile);
    assert.ok(!body.includes('\0'));
    for (const [, id = ''] of body.matchAll(/^id: (.*)$/gm)) assert.match(id, /^\d+$/);
    const service = await serve(t);
    const { kinds } = await listen(t, service, `&last_event_id=${encodeURIComponent('1\0')}`);
    assert.ok(kinds.includes('reset'));
  });

  it('has a retry of digits alone, which a client takes only so, in a block without data', async (t) => {
    const body = await bodyOf(t, ['retry: x']);
    const [first = ''] = body.split('\n\n');
    assert.match(first, /^retry: \d+$/);
    assert.equal(body.match(/^retry/gm)?.length, 1);
  });

  it('carries every text that a notification may have', async (t) => {
    const service = await serve(t, { NOTIFY_LIVE_CONFIRM_TIMEOUT: '0s' });
    const { seen } = await listen(t, service);
    await fc.assert(
      fc.asyncProperty(
        fc.string({
          unit: fc.constantFrom('\n', '\r', '\ufeff', ':', ' ', 'data', '漢', '🚀', '\u2028', '\\', '"'),
        }),
        async (text) => {
          const before = seen.length;
          const title = `${text}.`; // one that is blank is none
          await service.notify('alice', { title });
          await eventually('it arrived', () => seen.length > before);
          assert.equal(seen.at(-1)?.title, title);
        },
      ),
      { numRuns: 60 },
    );
    const ids = seen.map(({ lastEventId }) => Number(lastEventId));
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
    );
  });
});
