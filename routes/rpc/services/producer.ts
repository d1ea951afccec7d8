import type { FastifyInstance } from 'fastify';
import { ProducerService } from '../../../proto/gen/notify/v1/producer_pb.ts';
import { batchResultBytes, ResultRoom } from '../../../src/core/answer-size.ts';
import { invalidArgument, publicError } from '../../../src/core/errors.ts';
import { limits } from '../../../src/core/notifier/validate.ts';
import type { RpcService, UnaryMethods } from '../call.ts';
import { notifyCall, producerOnly } from './notification-internal.ts';

export function producer(app: FastifyInstance): RpcService {
  const notify = notifyCall(app);
  const unary: UnaryMethods<typeof ProducerService> = {
    async notifyBatch({ requests }) {
      if (requests.length === 0)
        throw invalidArgument([{ field: 'requests', description: 'must hold at least one request' }]);
      const room = new ResultRoom(batchResultBytes);
      const results = await Promise.all(
        requests.map(async (request) => {
          try {
            return { result: { case: 'response' as const, value: await notify(request, room) } };
          } catch (error) {
            const { code, message } = publicError(error);
            if (code === 'internal') app.log.error({ err: error }, 'notify_failed');
            return { result: { case: 'error' as const, value: { code, message } } };
          }
        }),
      );
      return { results };
    },
    async cancelNotification(request) {
      return { cancelled: await app.notifier.cancel(request) };
    },
    async publishDataChange(request) {
      return { sessions: app.notifier.publishDataChange(request) };
    },
  };
  return {
    desc: ProducerService,
    unary: unary as unknown as RpcService['unary'],
    checks: {
      notifyBatch: {
        lists: [
          {
            field: 'requests',
            items: limits.requestsPerBatch,
            description: `must be at most ${limits.requestsPerBatch}; split the batch`,
          },
        ],
      },
    },
    authenticate: producerOnly(app),
  };
}
