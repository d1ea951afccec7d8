import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { EmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { freePort } from '../../src/dev/free-port.ts';
import { endStream, frame, openPreface, requestHeaders } from '../../test/support/http2-frames.ts';
import { markAllRead, notifyAll, residentKiB } from '../event-sources.ts';
import { type Figure, median } from '../figures.ts';
import { inspectedAt } from '../garbage.ts';
import { start } from '../processes.ts';
import { atMost, startOn } from './common.ts';
import { heldKiB, memoryFigure } from './memory.ts';

const streams = 10_000;
const rounds = 4;
const path = '/elloloop.notify.v1.NotificationClientService/StreamEvents';
/** An envelope (Connect and gRPC have the same) around a request that says nothing. */
const emptyRequest = Buffer.alloc(5);

/** How clients speak: what opens the streams of the users from a number on, on one connection. */
interface Dialect {
  readonly name: string;
  readonly perConnection: number;
  readonly request: (firstUser: number) => Buffer;
}

const token = (user: number) => `Bearer dev:user-${user}:bench`;

const connect: Dialect = {
  name: 'Connect (binary, HTTP/1.1)',
  perConnection: 1,
  request: (user) =>
    Buffer.concat([
      Buffer.from(
        `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/connect+proto\r\nconnect-protocol-version: 1\r\n` +
          `authorization: ${token(user)}\r\ncontent-length: ${emptyRequest.length}\r\n\r\n`,
      ),
      emptyRequest,
    ]),
};

const grpc = (perConnection: number, name: string): Dialect => ({
  name,
  perConnection,
  request: (firstUser) =>
    Buffer.concat([
      openPreface,
      ...Array.from({ length: perConnection }, (_, i) => {
        const stream = i * 2 + 1;
        const headers = {
          'content-type': 'application/grpc',
          te: 'trailers',
          authorization: token(firstUser + i),
        };
        return [
          requestHeaders(stream, path, headers),
          frame('data', { stream, flags: endStream, payload: emptyRequest }),
        ];
      }).flat(),
    ]),
});

const dialects = [
  connect,
  grpc(1, 'gRPC (a connection each)'),
  grpc(100, 'gRPC (100 on a connection, as through a proxy)'),
];

/** StreamEvents instead of EventSource: what a stream costs, and the time until everybody has an event. */
export async function rpcStreamFigures(database: EmbeddedPostgres): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const dialect of dialects) {
    figures.push(...(await figuresOf(database, dialect)));
    figures.push(
      await memoryFigure(database, dialect.name, streams, (service) => openAll(service.clientPort, dialect)),
    );
    if (dialect !== connect) figures.push(await bareFigure(dialect));
  }
  return figures;
}

async function figuresOf(database: EmbeddedPostgres, dialect: Dialect): Promise<Figure[]> {
  const service = await startOn(database);
  try {
    await notifyAll(service, 'rpc-warm-up', streams);
    await markAllRead(service, streams);
    const before = residentKiB(service.pid);
    const open = await openAll(service.clientPort, dialect);
    await pause(1_000);
    const each = (residentKiB(service.pid) - before) / streams;
    const times: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const id = `${dialect.perConnection}-${dialect.name.slice(0, 4)}-${round}`;
      const arrived = open.expectAll(id);
      const startedMs = performance.now();
      await notifyAll(service, id, streams);
      await arrived;
      times.push(performance.now() - startedMs);
    }
    open.close();
    return [
      atMost(`memory of each of ${streams} streams by ${dialect.name}`, each, 'KiB', 15),
      atMost(`one event to each of them, until the last`, median(times.slice(1)), 'ms', 700),
    ];
  } finally {
    await service.stop();
  }
}

/** What a server that is nothing but Node's takes for as many. */
async function bareFigure(dialect: Dialect): Promise<Figure> {
  const [port, inspector] = [await freePort(), await freePort()];
  const server = start('bench/live/bare-http2.ts', {
    PORT: String(port),
    NODE_OPTIONS: inspectedAt(inspector),
  });
  try {
    await listens(port);
    const each = await heldKiB(server, inspector, streams, () => openAll(port, dialect));
    return {
      name: `the same of a bare Node HTTP/2 server, ${dialect.name}`,
      value: `${each.toFixed(1)} KiB`,
      target: '',
      met: true,
    };
  } finally {
    await server.stop();
  }
}

async function listens(port: number): Promise<void> {
  for (let tries = 0; tries < 1_000; tries += 1) {
    const socket = net.connect(port, '127.0.0.1');
    const isOpen = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isOpen) return;
    await pause(10);
  }
  throw new Error(`nothing listens on ${port}`);
}

async function openAll(port: number, dialect: Dialect) {
  const sockets: net.Socket[] = [];
  let expected = Buffer.from('\0never');
  let missing = 0;
  let done = (): void => {};
  let ready = 0;
  for (let user = 0; user < streams; user += dialect.perConnection) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    sockets.push(socket);
    let rest: Uint8Array = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      ready += 1;
      const bytes = Buffer.concat([rest, chunk]);
      for (let at = bytes.indexOf(expected); at !== -1; at = bytes.indexOf(expected, at + 1)) missing -= 1;
      rest = bytes.subarray(Math.max(0, bytes.length - expected.length + 1));
      if (missing <= 0) done();
    });
    await once(socket, 'connect');
    socket.write(dialect.request(user));
    if (sockets.length % 50 === 49) await pause(5);
  }
  await settled(() => ready);
  return {
    /** Resolves when every stream has been sent the notification of this id, which is its title too: both are in an event's bytes. */
    expectAll(id: string): Promise<void> {
      expected = Buffer.from(id);
      missing = streams * 2;
      return new Promise((resolve) => {
        done = resolve;
      });
    },
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Waits until nothing comes any more: every stream has said where it begins. */
async function settled(count: () => number): Promise<void> {
  for (let before = -1; before !== count(); ) {
    before = count();
    await pause(1_000);
  }
}
