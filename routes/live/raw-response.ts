import type { ServerResponse } from 'node:http';
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
