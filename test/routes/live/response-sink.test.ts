import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ResponseSink, type StreamEncoding } from '../../../routes/live/response-sink.ts';
import { endings } from '../../../src/core/live/endings.ts';
import type { LiveEvent } from '../../../src/core/live/events.ts';
import { bufferLimitBytes } from '../../../src/core/live/settings.ts';

/** A connection whose peer takes what was written only when the test says so, like a socket: all that waits in one go. */
class SlowConnection extends Duplex {
  readonly #taken: Buffer[] = [];
  #take: (() => void) | undefined;

  override _read(): void {}

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#take = () => {
      this.#taken.push(...chunks.map(({ chunk }) => chunk));
      done();
    };
  }

  /** Takes what the socket was handed. @returns whether there was something */
  async accept(): Promise<boolean> {
    await turn();
    const take = this.#take;
    this.#take = undefined;
    take?.();
    await turn();
    return take !== undefined;
  }

  text(): string {
    return Buffer.concat(this.#taken).toString();
  }
}

/** A sink on an open response, where an event is its kind's text. */
async function openSink(texts: Partial<Record<LiveEvent['kind'], string | Uint8Array>>) {
  const server = http.createServer();
  const connection = new SlowConnection({ decodeStrings: true });
  server.emit('connection', connection);
  connection.push('GET / HTTP/1.0\r\n\r\n'); // 1.0: no chunks between the texts
  const [, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse];
  response.flushHeaders();
  await connection.accept();
  const encoding: StreamEncoding = {
    event: ({ kind }) => texts[kind] ?? '',
    finish: (open) => {
      open.end('(end)');
    },
  };
  const sink = new ResponseSink(response, encoding, 60_000);
  return { sink, connection, body: () => connection.text().split('\r\n\r\n')[1] };
}

const heartbeat: LiveEvent = { kind: 'heartbeat', timestampMs: 0, inboxVersion: 0 };
const reset: LiveEvent = { kind: 'reset' };

describe('a response that is written slowly', () => {
  const large = `${'漢字🚀'.repeat(50_000)}.`;

  for (const [what, event] of [
    ['a text', large],
    ['bytes', Buffer.from(large)],
  ] as const)
    it(`lets go of a large event of ${what} bit by bit, and says when all of it has left`, async () => {
      const { sink, connection, body } = await openSink({ heartbeat: event });
      let written = 0;
      let progress = 0;
      sink.onProgress(() => {
        progress += 1;
      });
      sink.send(heartbeat, 's', 1, () => {
        written += 1;
      });
      const size = Buffer.byteLength(large);
      assert.equal(sink.bufferedBytes(), size);
      let before = size;
      while (await connection.accept()) {
        assert.ok(sink.bufferedBytes() < before, 'every step shows');
        assert.ok(before - sink.bufferedBytes() <= bufferLimitBytes / 4, 'and is a small one');
        assert.equal(written, sink.bufferedBytes() === 0 ? 1 : 0);
        before = sink.bufferedBytes();
      }
      assert.equal(before, 0);
      assert.ok(progress >= 20);
      assert.equal(body(), large);
    });

  it('keeps the order of what comes while a large event is under way', async () => {
    const { sink, connection, body } = await openSink({ heartbeat: large, reset: '(small)' });
    sink.send(reset, 's', 1);
    sink.send(heartbeat, 's', 1);
    sink.send(reset, 's', 1);
    while (await connection.accept());
    assert.equal(body(), `(small)${large}(small)`);
    assert.equal(sink.bufferedBytes(), 0);
  });

  it('hands small events over together', async () => {
    const { sink, connection, body } = await openSink({ reset: '(small)' });
    for (let i = 0; i < 100; i += 1) sink.send(reset, 's', 1);
    assert.ok(await connection.accept());
    await connection.accept();
    assert.equal(body(), '(small)'.repeat(100));
  });

  it('ends after all of it, also where nobody reads on', async () => {
    const { sink, connection, body } = await openSink({ heartbeat: large });
    sink.send(heartbeat, 's', 1);
    await connection.accept();
    sink.finish(endings.shutdown);
    while (await connection.accept());
    assert.equal(body(), `${large}(end)`);
  });
});
