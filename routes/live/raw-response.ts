import type { ServerResponse } from 'node:http';
import { constants, type Http2Stream } from 'node:http2';
import type { FastifyReply } from 'fastify';

/** Keeps proxies from storing, buffering or compressing a stream. */
const streamHeaders = { 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no' };

/**
 * Takes a response over from Fastify and sends its head, with the headers that hooks such as CORS have set.
 * @returns the response; writing and ending it is the caller's
 */
export function startStream(
  reply: FastifyReply,
  contentType: string,
  headers: Record<string, string> = {},
): ServerResponse {
  if (!reply.sent) reply.hijack();
  const response = reply.raw;
  for (const [name, value] of Object.entries({ ...reply.getHeaders(), ...streamHeaders, ...headers }))
    if (value !== undefined) response.setHeader(name, value);
  response.writeHead(200, { 'content-type': contentType });
  response.flushHeaders();
  return response;
}

/** Runs `task` once the peer has gone or the response has ended; at once where that has happened already. */
export function whenClosed(response: ServerResponse, task: () => void): void {
  // Node's HTTP/2 response has no `destroyed` of its own: its stream knows
  if (response.destroyed || streamOf(response)?.destroyed) task();
  else response.once('close', task);
}

/** Closes a response without waiting for the peer to take what was written. */
export function cutOff(response: ServerResponse): void {
  const stream = streamOf(response);
  // destroy() on an HTTP/2 response that was ended tells the peer nothing, and the session would never close
  if (stream) stream.close(constants.NGHTTP2_CANCEL);
  else response.destroy();
}

/** The stream under an HTTP/2 response; undefined for HTTP/1.1. */
const streamOf = (response: ServerResponse): Http2Stream | undefined =>
  (response as ServerResponse & { readonly stream?: Http2Stream }).stream;
