import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { constants, type Http2Session, type Http2Stream } from 'node:http2';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Keeps proxies from storing, buffering or compressing a stream. */
const streamHeaders = { 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no' };

/**
 * Takes a response over from Fastify and sends its head, with the headers that hooks such as CORS have set.
 * @returns the response; writing and ending it is the caller's
 */
export function startStream(reply: FastifyReply, contentType: string): ServerResponse {
  if (!reply.sent) reply.hijack();
  const response = reply.raw;
  // all at once: what setHeader is told is kept with the response
  response.writeHead(200, { ...headersOf(reply), ...streamHeaders, 'content-type': contentType });
  response.flushHeaders();
  // its peer has closed its half before there was a stream to let go of, see src/listener/http1-connections.ts
  if (response.req.httpVersionMajor === 1 && response.socket?.readableEnded) response.socket.end();
  return response;
}

const headersOf = (reply: FastifyReply): OutgoingHttpHeaders =>
  Object.fromEntries(Object.entries(reply.getHeaders()).filter(([, value]) => value !== undefined));

/**
 * Drops what a request said: Node keeps it as long as its response, which for a stream may be an hour, and there are tokens, cookies
 * and some KiB of what browsers tell of themselves in it.
 */
export function forgetRequest(request: FastifyRequest): void {
  const { raw } = request;
  raw.url = request.routeOptions.url ?? '';
  raw.rawHeaders.length = 0;
  // over HTTP/2 it has no setter, and emptied it takes as much room as full
  if (raw.httpVersionMajor === 1) raw.headers = {};
  else for (const name of Object.keys(raw.headers)) delete raw.headers[name];
  request.query = {};
}

/** Runs `task` once the peer has gone or the response has ended; at once where that has happened already. */
export function whenClosed(response: ServerResponse, task: () => void): void {
  // Node's HTTP/2 response has no `destroyed` of its own: its stream knows
  if (response.destroyed || streamOf(response)?.destroyed) task();
  else response.on('close', task); // it comes once
}

/**
 * Closes a response without waiting for the peer to take what was written. HTTP/2 clients are told that they take too little: gRPC's
 * read that code as resource_exhausted, after which they pause, and CANCEL as a clean end.
 * @param graceMs how long an HTTP/2 peer may take to show that it still reads its connection at all
 */
export function cutOff(response: ServerResponse, graceMs: number): void {
  const stream = streamOf(response);
  if (stream === undefined) {
    response.destroy();
    return;
  }
  if (stream.session) resetUnlessAlive(stream.session, graceMs);
  // destroy() on an HTTP/2 response that was ended tells the peer nothing, and the session would never close
  stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

const probed = new WeakSet<Http2Session>();

/**
 * Resets a connection whose peer does not answer a ping in time. Such a peer never hears that a stream was closed, and Node
 * would wait for ever for it to take that word, also when the session is destroyed.
 */
function resetUnlessAlive(session: Http2Session, graceMs: number): void {
  if (session.destroyed || probed.has(session)) return;
  probed.add(session);
  const reset = session.socket.resetAndDestroy; // bound to the socket by the session, which forgets it in the end
  const late = setTimeout(() => reset(), graceMs).unref();
  session.ping((error) => {
    if (error) return; // the session has ended meanwhile
    clearTimeout(late);
    probed.delete(session);
  });
}

/** The stream under an HTTP/2 response; undefined for HTTP/1.1. */
const streamOf = (response: ServerResponse): Http2Stream | undefined =>
  (response as ServerResponse & { readonly stream?: Http2Stream }).stream;
