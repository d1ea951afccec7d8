import type { OpenTransport } from '../open.ts';
import { RedisTransport } from './redis-transport.ts';

/** PUBLISH and SUBSCRIBE of a Redis, or of what speaks its protocol. */
export const openRedisTransport: OpenTransport = async (_app, { redisUrl }) => {
  if (redisUrl === undefined) throw new Error('the redis backplane needs NOTIFY_REDIS_URL');
  return new RedisTransport(redisUrl);
};
