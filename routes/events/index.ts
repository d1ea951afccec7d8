import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { NotifyError } from '../../src/core/errors.ts';
import type { EndReason } from '../../src/core/live/events.ts';
import { forgetRequest, startStream, whenClosed } from '../live/raw-response.ts';
import { ResponseSink, type StreamEncoding, type StreamOptions } from '../live/response-sink.ts';
import { parseStart } from '../live/start.ts';
import { sseText } from '../rpc/wire/live-event.ts';

const contentType = 'text/event-stream; charset=utf-8';

/** How long a browser waits before it comes back, in milliseconds: where nothing is wrong, and where the server could not begin. */
const usualRetryMs = 1_000;
const failedRetryMs = 5_000;

/** Each `retry:` is up to this much longer than its base, unless that is minutes. */
const retryJitter = 1;
const minutesMs = 60_000;

/**
 * GET /v1/events: a user's live stream for EventSource.
 *
 * A browser gives up for good on any answer but 200, so what is transient is 200 with `retry:`, an `end` event and an
 * immediate end. Only a bad token (401) and live connections switched off (204) are told by status.
 */
export default fp<StreamOptions>(
  async (app, { liveEnabled, finishTimeoutMs }) => {
    const { auth, liveHub, ambient } = app;

    const retry = (baseMs = usualRetryMs): string => {
      const ms = baseMs >= minutesMs ? baseMs : baseMs * (1 + retryJitter * ambient.random());
      return `retry: ${Math.round(ms)}\n\n`;
    };

    const sendAway = (reply: FastifyReply, reason: EndReason, { retryAfterMs }: NotifyError): void => {
      const response = startStream(reply, contentType);
      response.end(
        `${retry(retryAfterMs)}event: end\ndata: ${JSON.stringify({ reason, reconnect: true })}\n\n`,
      );
    };

    /** Server-sent events (WHATWG HTML §9.2). */
    const encoding: StreamEncoding = {
      event(event, sessionId, position) {
        const text = sseText(event, sessionId, position);
        const hasFailed = event.kind === 'end' && event.reason === 'overloaded' && position === undefined;
        return hasFailed ? retry(failedRetryMs) + text : text;
      },
      finish(response) {
        response.end();
      },
    };

    app.get('/v1/events', { exposeHeadRoute: false }, async (request, reply) => {
      reply.header('x-request-id', request.id);
      const principal = auth.recipient(bearer(request));
      if (!liveEnabled) return reply.code(204).send();
      const overload = app.pressure.refusal();
      if (overload) {
        sendAway(reply, 'overloaded', overload);
        return reply;
      }
      const refusal = liveHub.refusal(principal);
      if (refusal) {
        sendAway(reply, refusal.reason, refusal.error);
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
