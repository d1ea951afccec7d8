import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { EndReason } from '../../src/core/live/events.ts';
import { forgetRequest, startStream, whenClosed } from '../live/raw-response.ts';
import { ResponseSink, type StreamEncoding, type StreamOptions } from '../live/response-sink.ts';
import { parseStart } from '../live/start.ts';
import { sseText } from '../rpc/wire/live-event.ts';

const contentType = 'text/event-stream; charset=utf-8';

/** How long a browser waits before it comes back, in milliseconds, by the reason it was sent away for; plus jitter. */
const retryMs: Partial<Record<EndReason, number>> = { too_many_streams: 600_000, overloaded: 5_000 };
const usualRetryMs = 1_000;

/** Each `retry:` is up to this much longer than its base. */
const retryJitter = 1;

/** Server-sent events (WHATWG HTML §9.2). */
const encoding: StreamEncoding = {
  event: sseText,
  finish: (response) => {
    response.end();
  },
};

/**
 * GET /v1/events: a user's live stream for EventSource.
 *
 * A browser gives up for good on any answer but 200, so what is transient is 200 with `retry:`, an `end` event and an
 * immediate end. Only a bad token (401) and live connections switched off (204) are told by status.
 */
export default fp<StreamOptions>(
  async (app, { liveEnabled, finishTimeoutMs }) => {
    const { auth, liveHub, ambient } = app;

    const retry = (reason?: EndReason): string => {
      const base = (reason && retryMs[reason]) ?? usualRetryMs;
      const jittered = reason === 'too_many_streams' ? base : base * (1 + retryJitter * ambient.random());
      return `retry: ${Math.round(jittered)}\n\n`;
    };

    const sendAway = (reply: FastifyReply, reason: EndReason): void => {
      const response = startStream(reply, contentType);
      response.end(`${retry(reason)}event: end\ndata: ${JSON.stringify({ reason, reconnect: true })}\n\n`);
    };

    app.get('/v1/events', { exposeHeadRoute: false }, async (request, reply) => {
      reply.header('x-request-id', request.id);
      const principal = auth.recipient(bearer(request));
      if (!liveEnabled) return reply.code(204).send();
      if (app.pressure.refusal()) {
        sendAway(reply, 'overloaded');
        return reply;
      }
      const refusal = liveHub.refusal(principal);
      if (refusal) {
        sendAway(reply, refusal.reason);
        return reply;
      }
      const response = startStream(reply, contentType);
      response.write(retry());
      const session = liveHub.open(
        {
          owner: principal,
          deviceType: 'browser',
          start: parseStart(lastEventId(request)),
          tokenExpiresAtMs: principal.expiresAtMs,
        },
        new ResponseSink(response, encoding, finishTimeoutMs),
      );
      forgetRequest(request);
      whenClosed(response, () => session.gone());
      return reply;
    });
  },
  { name: 'events' },
);

/** The header, or the query parameter that EventSource needs, since it can set no header. */
function bearer(request: FastifyRequest): string | undefined {
  if (request.headers.authorization !== undefined) return request.headers.authorization;
  const token = parameter(request, 'access_token');
  return token === undefined ? undefined : `Bearer ${token}`;
}

/** The header beats the query, which stays in the URL while the header moves on. */
function lastEventId(request: FastifyRequest): string | undefined {
  const header = request.headers['last-event-id'];
  return (
    (typeof header === 'string' && header !== '' ? header : undefined) ?? parameter(request, 'last_event_id')
  );
}

function parameter(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Record<string, string | string[] | undefined>)[name];
  const first = Array.isArray(value) ? value[0] : value;
  return first === '' ? undefined : first;
}
