import type { TransportOf } from '../transport-of.ts';
import { redisTransport } from './redis-transport.ts';

/** PUBLISH and SUBSCRIBE of a Redis, or of what speaks its protocol. */
export const redisTransportOf: TransportOf = async (_app, { redisUrl }) => {
  if (redisUrl === undefined) throw new Error('the redis backplane needs NOTIFY_REDIS_URL');
  return redisTransport(redisUrl);
};
