import fastifyJwt from '@fastify/jwt';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import { clientAuthenticator, type Principal } from './client-token.ts';
import { internalAuthenticator } from './internal-token.ts';

export type { Principal } from './client-token.ts';

export interface Auth {
  /**
   * Who a bearer token belongs to.
   * @param authorization the Authorization header's value
   * @throws NotifyError unauthenticated
   */
  recipient(authorization: string | undefined): Principal;
  /**
   * Lets a backend in by the X-Notify-Internal-Token header's value.
   * @throws NotifyError unauthenticated
   */
  producer(internalToken: string | string[] | undefined): void;
}

declare module 'fastify' {
  interface FastifyInstance {
    auth: Auth;
  }
}

/** Tokens of recipients and of backends. Claims are checked against the injected clock, signatures by @fastify/jwt. */
export default fp<{ auth: Config['auth'] }>(
  async (app, { auth }) => {
    const secrets = [auth.jwtSecret, auth.jwtSecretPrevious].filter((secret) => secret !== undefined);
    const verifiers: ((token: string) => unknown)[] = [];
    for (const [i, secret] of secrets.entries()) {
      const namespace = `secret${i}`;
      await app.register(fastifyJwt, {
        secret: Buffer.from(secret),
        namespace,
        // times are checked on every call, so that a verified signature may be kept for the next one
        verify: { algorithms: ['HS256'], ignoreExpiration: true, ignoreNotBefore: true, cache: 1_000 },
      });
      const jwt = (app.jwt as unknown as Record<string, typeof app.jwt>)[namespace];
      if (jwt === undefined) throw new Error(`@fastify/jwt did not add its namespace ${namespace}`);
      verifiers.push((token) => jwt.verify(token));
    }
    app.decorate('auth', {
      recipient: clientAuthenticator(auth, verifiers, app.ambient.clock),
      producer: internalAuthenticator([auth.internalToken, auth.internalTokenPrevious]),
    });
  },
  { name: 'auth', dependencies: ['ambient'] },
);
