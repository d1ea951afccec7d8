import { toJson } from '@bufbuild/protobuf';
import type { FastifyInstance } from 'fastify';
import {
  NotificationInternalService,
  type NotifyRequest,
  NotifyRequestSchema,
  NotifyResponseSchema,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import type { ResultRoom } from '../../../src/core/answer-size.ts';
import { publicError } from '../../../src/core/errors.ts';
import { validateNotify } from '../../../src/core/notifier/validate.ts';
import type { InputChecks, RpcService, UnaryMethods } from '../call.ts';
import { decodeMessage } from '../protocol/decode.ts';
import { notifyFromWire, notifyToWire } from '../wire/notify.ts';

/**
 * One Notify call, counted by the code it is answered with. Those of a batch share the room of its answer.
 */
export function notifyCall(app: FastifyInstance) {
  const { notifier, meters } = app;
  return async (request: NotifyRequest, room?: ResultRoom) => {
    try {
      const { command, violations } = notifyFromWire(request);
      const answer = await notifier.notify(command, violations, room);
      meters.notifyRequest('ok');
      return notifyToWire(answer);
    } catch (error) {
      meters.notifyRequest(publicError(error).code);
      throw error;
    }
  };
}

export function notificationInternal(app: FastifyInstance): RpcService {
  const notify = notifyCall(app);
  const unary: UnaryMethods<typeof NotificationInternalService> = { notify: (request) => notify(request) };
  return {
    desc: NotificationInternalService,
    unary: unary as unknown as RpcService['unary'],
    checks: { notify: notifyChecks },
    authenticate: producerOnly(app),
  };
}

const notifyChecks: InputChecks = {
  all(request) {
    const { command, violations } = notifyFromWire(request as NotifyRequest);
    return [...violations, ...validateNotify(command)];
  },
};

/** The same in JSON, for pages of our own: request bytes in, response text out. */
export function notifyJson(app: FastifyInstance): (body: Buffer) => Promise<string> {
  const notify = notifyCall(app);
  return async (body) => {
    const response = await notify(decodeMessage(NotifyRequestSchema, body, true, notifyChecks));
    return JSON.stringify(toJson(NotifyResponseSchema, response, { alwaysEmitImplicit: true }));
  };
}

/** Lets backends in by the internal token. */
export const producerOnly =
  (app: FastifyInstance): RpcService['authenticate'] =>
  (request) => {
    app.auth.producer(request.headers['x-notify-internal-token']);
    return undefined;
  };
