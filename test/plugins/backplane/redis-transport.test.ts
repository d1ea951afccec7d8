import assert from 'node:assert/strict';
import net from 'node:net';
import { it, type TestContext } from 'node:test';
import { ReconnectingTransport } from '../../../plugins/backplane/reconnecting-transport.ts';
import { redisTransport } from '../../../plugins/backplane/redis/redis-transport.ts';
import { system } from '../../../src/system.ts';
import { eventually } from '../../support/eventually.ts';
import { noRedis, TestRedis } from '../../support/redis.ts';

/** Takes connections and says nothing, as a Redis that hangs does. @returns makes room for another listener; what it took stays open */
async function silence(t: TestContext, port: number): Promise<() => Promise<void>> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return async () => {
    server.close();
    await eventually('the port is free', () => !server.listening);
  };
}

it('a Redis that takes connections and says nothing holds up nothing, and is used once it answers', {
  skip: noRedis,
}, async (t) => {
  const redis = await TestRedis.away(t);
  const away = await silence(t, redis.port);
  const transport = new ReconnectingTransport(redisTransport(redis.url(), 200), system);
  t.after(() => transport.close());
  const seen: string[] = [];
  await transport.open({
    received: (text) => seen.push(text),
    connected: () => seen.push('connected'),
    lost: (error) => seen.push((error as Error).message),
    stillLost: () => seen.push('still lost'),
  });
  assert.deepEqual(seen, ['redis: no answer within 200 ms']);
  await eventually('it has tried again', () => seen.includes('still lost'));
  await away();
  await redis.start();
  await eventually('it is connected', () => seen.at(-1) === 'connected');
  await transport.send(['hello']);
  await eventually('it hears itself', () => seen.at(-1) === 'hello');
});
