import http from 'node:http';
import http2 from 'node:http2';
import type { Socket } from 'node:net';
import type { FastifyServerFactory } from 'fastify';
import { Http1Connections } from './listener/http1-connections.ts';
import { SilentPeers } from './listener/silent-peers.ts';

/** What an HTTP/2 client with prior knowledge sends first (RFC 9113 §3.4). */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/**
 * Lets a client that has sent its request close its half and still be answered. Streams are others, see Http1Connections.
 * It is an option of Node's own net server, which its types do not name (node:_http_server, socketOnEnd).
 */
const allowHalfOpen = (server: http.Server): void => void Object.assign(server, { httpAllowHalfOpen: true });

const nothing: Buffer = Buffer.alloc(0);

export interface ListenerLimits {
  /** A connection that has not shown its protocol by then is closed. */
  readonly sniffTimeoutMs: number;
  /** A request that has not arrived as a whole by then is refused (slow attacks); and the head of one in HTTP/1.1. */
  readonly requestTimeoutMs: number;
  readonly headersTimeoutMs: number;
  /** An idle HTTP/1.1 connection is kept this long; above the usual 60 s of load balancers. */
  readonly keepAliveTimeoutMs: number;
  /** After so long without a byte TCP asks whether the peer is still there: Node has it ask ten times, a second apart. */
  readonly tcpKeepAliveMs: number;
  /** How often peers are looked for that have gone while bytes were on their way to them, which keep-alive does not find. 0: never. */
  readonly silentPeersMs: number;
  /** A peer that keeps an HTTP/2 connection open after this side has closed it is cut off. */
  readonly lingerTimeoutMs: number;
  /** A request that has not arrived as a whole so long after a stop has begun is cut off: a peer that stalls must not hold it up. */
  readonly arrivalTimeoutMs: number;
  /** Streams of one HTTP/2 connection at once. */
  readonly maxConcurrentStreams: number;
  /**
   * Streams of one HTTP/2 connection that its peer may cancel at once, and in a second from then on; over it the connection is closed,
   * with all streams. Node's own are 1,000 and 33, which a proxy passes whose clients go away together.
   */
  readonly resetBurst: number;
  readonly resetRate: number;
}

const defaultLimits: ListenerLimits = {
  sniffTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  headersTimeoutMs: 20_000,
  keepAliveTimeoutMs: 72_000,
  // a dead peer is found before the usual next heartbeat of a stream, which TCP would send it for a quarter of an hour
  tcpKeepAliveMs: 10_000,
  silentPeersMs: 30_000,
  lingerTimeoutMs: 2_000,
  arrivalTimeoutMs: 2_000,
  maxConcurrentStreams: 1_000,
  // all that may be open, ten times over; then what a tenth of a core can begin for nothing
  resetBurst: 10_000,
  resetRate: 1_000,
};

/**
 * One plaintext port for HTTP/1.1 and HTTP/2 with prior knowledge, as Fastify's serverFactory. The listening server is a
 * real http.Server; a connection that begins with the HTTP/2 preface is handed to an http2 server that never listens.
 *
 * Fastify applies none of its own connection settings when a serverFactory is given, so they are set here.
 */
export function http1AndHttp2(limits: Partial<ListenerLimits> = {}): FastifyServerFactory {
  const { sniffTimeoutMs, requestTimeoutMs, headersTimeoutMs, keepAliveTimeoutMs, ...others } = {
    ...defaultLimits,
    ...limits,
  };
  const { lingerTimeoutMs, arrivalTimeoutMs, maxConcurrentStreams, tcpKeepAliveMs, silentPeersMs } = others;
  const { resetBurst, resetRate } = others;
  return (handler) => {
    const h1 = http.createServer(
      {
        requestTimeout: requestTimeoutMs,
        headersTimeout: headersTimeoutMs,
        // both are looked at this often, by default only every 30 s
        connectionsCheckingInterval: Math.min(requestTimeoutMs, headersTimeoutMs) / 4,
        // Node's answer to its absence has no body: a route's has
        requireHostHeader: false,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: tcpKeepAliveMs,
      },
      handler,
    );
    h1.keepAliveTimeout = keepAliveTimeoutMs;
    allowHalfOpen(h1);
    const h2 = http2.createServer(
      {
        settings: { maxConcurrentStreams },
        maxSessionInvalidFrames: 100,
        // refused are streams that come before Node has done away with those that were cancelled; it never forgets the count
        maxSessionRejectedStreams: 2 ** 31,
        streamResetBurst: resetBurst,
        streamResetRate: resetRate,
      },
      handler as never, // Fastify's handler takes the compatibility API's request and response as well
    );
    const sniffing = new Set<Socket>();
    const connections = new Http1Connections(h1);
    const sessions = new Set<http2.ServerHttp2Session>();
    const http2Sockets = new Set<Socket>();
    if (silentPeersMs > 0) {
      const silentPeers = new SilentPeers(silentPeersMs, function* () {
        yield* connections.sockets();
        yield* http2Sockets;
      });
      h1.once('close', () => silentPeers.close());
    }
    const arriving = new Set<http2.ServerHttp2Stream>();
    const cutOff = (stream: http2.ServerHttp2Stream) => {
      if (stream.state.remoteClose !== 1) stream.close(http2.constants.NGHTTP2_CANCEL);
    };
    h2.on('session', (session) => {
      sessions.add(session);
      session.once('close', () => sessions.delete(session));
    });
    h2.on('stream', (stream, _headers, flags) => {
      if ((flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0) return; // it has no body
      const late = setTimeout(() => cutOff(stream), requestTimeoutMs);
      arriving.add(stream);
      stream.once('close', () => {
        clearTimeout(late);
        arriving.delete(stream);
      });
    });

    const serveHttp1 = h1.listeners('connection')[0] as (socket: Socket) => void;
    h1.removeAllListeners('connection');
    h1.on('connection', (socket: Socket) => {
      let head = nothing;
      const kill = () => socket.destroy();
      const late = setTimeout(kill, sniffTimeoutMs).unref();
      const stop = () => {
        sniffing.delete(socket);
        clearTimeout(late);
        socket.off('readable', sniff).off('error', kill).off('end', kill).off('close', stop);
      };
      const sniff = () => {
        const chunk = socket.read() as Buffer | null;
        if (chunk === null) return;
        head = head.length > 0 ? Buffer.concat([head, chunk]) : chunk;
        const seen = Math.min(head.length, preface.length);
        const isHttp2 = head.compare(preface, 0, seen, 0, seen) === 0;
        if (isHttp2 && seen < preface.length) return; // undecided: wait for more bytes
        stop();
        socket.unshift(head);
        head = nothing; // or what is added below would keep it as long as the connection
        if (isHttp2) {
          socket.allowHalfOpen = false; // or a client that dies leaves its half behind for ever
          socket.once('finish', () => setTimeout(() => socket.destroy(), lingerTimeoutMs).unref());
          http2Sockets.add(socket);
          socket.once('close', () => http2Sockets.delete(socket));
          h2.emit('connection', socket);
        } else {
          connections.add(socket);
          serveHttp1.call(h1, socket);
        }
      };
      sniffing.add(socket);
      socket.on('readable', sniff).on('error', kill).on('end', kill).on('close', stop);
    });

    const closeAll = h1.closeAllConnections.bind(h1);
    return Object.assign(h1, {
      // Fastify calls this once in close(); connections whose last request is still running turn idle later
      closeIdleConnections() {
        for (const socket of sniffing) socket.destroy();
        connections.closeIdle();
        const reap = setInterval(() => connections.closeIdle(), 50).unref();
        const late = setTimeout(() => {
          connections.closeArriving();
          for (const stream of arriving) cutOff(stream);
        }, arrivalTimeoutMs).unref();
        h1.once('close', () => {
          clearInterval(reap);
          clearTimeout(late);
        });
      },
      closeAllConnections() {
        closeAll();
        for (const socket of sniffing) socket.destroy();
        for (const session of sessions) session.destroy();
      },
      // Fastify calls it in close(): GOAWAY, then the open streams drain
      closeHttp2Sessions() {
        for (const session of sessions) session.close();
      },
    });
  };
}
