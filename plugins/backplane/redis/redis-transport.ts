import { createClient } from 'redis';
import type { Connect, TransportKind } from '../reconnecting-transport.ts';

/** Connecting takes no longer than this, its password and subscription included, in milliseconds. */
const connectTimeoutMs = 3_000;
/** A connection that no router or firewall should take for dead, in milliseconds. */
const keepAliveMs = 10_000;

/**
 * Texts by Redis's PUBLISH and SUBSCRIBE (https://redis.io/docs/latest/develop/pubsub/), over one connection: RESP 3 takes commands
 * beside a subscription. Not the sharded kind: there is one channel, so a cluster would have nothing to spread.
 *
 * A Redis that is away when the service starts is no reason not to: the store has everything.
 * @param url redis: or rediss:. Never part of an error or a log line: a password may be in it
 * @param timeoutMs how long connecting may take, in milliseconds
 */
export const redisTransport = (url: string, timeoutMs = connectTimeoutMs): TransportKind => ({
  name: 'redis',
  // what Redis takes is far longer; this keeps one text from holding up others
  textBytes: 4_096,
  startsWithout: true,
  connect: connectTo(url, timeoutMs),
});

/**
 * Redis has one space of channels for all its databases. The database's number in the URL keeps apart services that share one.
 */
const channelOf = (url: string): string => `notify_backplane_${new URL(url).pathname.slice(1) || '0'}`;

const connectTo =
  (url: string, timeoutMs: number): Connect =>
  async (received, over) => {
    const channel = channelOf(url);
    const client = createClient({
      url,
      socket: {
        connectTimeout: timeoutMs,
        keepAlive: true,
        keepAliveInitialDelay: keepAliveMs,
        // a new one is made in its place
        reconnectStrategy: false,
      },
      disableOfflineQueue: true,
      maintNotifications: 'disabled',
    });
    const failed = (error: unknown) => over(wordsOf(error));
    client.on('error', failed);
    client.on('end', () => over(new Error('the connection ended')));
    const destroy = () => {
      if (client.isOpen) client.destroy();
    };
    try {
      // the library limits the time of the TCP connection alone: a Redis that hangs takes it and says nothing
      await inTime(
        timeoutMs,
        client.connect().then(() => client.subscribe(channel, received)),
      );
    } catch (error) {
      destroy();
      throw wordsOf(error);
    }
    return {
      async send(texts) {
        await Promise.all(texts.map((text) => client.publish(channel, text))).catch((error: unknown) => {
          throw wordsOf(error);
        });
      },
      destroy,
    };
  };

/** @throws when it takes longer; whoever asked ends the work */
function inTime(timeoutMs: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** An error without what the library puts into it, such as the command with its arguments. */
function wordsOf(error: unknown): Error {
  const { message, code } = error as { message?: unknown; code?: unknown };
  return Object.assign(
    new Error(`redis: ${typeof message === 'string' && message !== '' ? message : String(code)}`),
    {
      ...(typeof code === 'string' && { code }),
    },
  );
}
