import type { Config } from '../../src/config.ts';
import type { Clock } from '../../src/core/ambient.ts';
import { NotifyError } from '../../src/core/errors.ts';
import type { UserKey } from '../../src/core/glossary.ts';

/** The recipient that a token speaks for. */
export interface Principal extends UserKey {
  readonly email: string | undefined;
  /** UTC epoch milliseconds at which a stream of this token ends; undefined: never. */
  readonly expiresAtMs: number | undefined;
}

type Claims = Readonly<Record<string, unknown>>;

/**
 * Authenticates `Authorization: Bearer`: dev tokens `dev:<user>:<tenant>[:<email>]` in dev mode without a secret, else
 * JWTs with HS256 (RFC 7519 §4.1 for the claims).
 * @param verifiers check a JWT's signature by one secret each and return its claims, or throw
 */
export function clientAuthenticator(
  auth: Config['auth'],
  verifiers: readonly ((token: string) => unknown)[],
  clock: Clock,
): (authorization: string | undefined) => Principal {
  const dev = auth.devMode && verifiers.length === 0;
  return (authorization) => {
    const token = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (token === undefined)
      throw refused(
        dev
          ? 'send Authorization: Bearer dev:<user>:<tenant>'
          : 'send Authorization: Bearer with a token of this recipient',
      );
    if (dev) return devPrincipal(token);
    return principal(verified(token, verifiers), auth, clock.now());
  };
}

const refused = (message: string, cause?: unknown): NotifyError =>
  new NotifyError('unauthenticated', message, { cause });

function devPrincipal(token: string): Principal {
  const [scheme, userId, tenantId, email, ...more] = token.split(':');
  if (scheme !== 'dev' || !isName(userId) || !isName(tenantId) || more.length > 0)
    throw refused('in dev mode the token is dev:<user>:<tenant>, optionally with :<email>');
  return { userId, tenantId, email: email || undefined, expiresAtMs: undefined };
}

function verified(token: string, verifiers: readonly ((token: string) => unknown)[]): Claims {
  let cause: unknown;
  for (const verify of verifiers)
    try {
      const claims = verify(token);
      if (typeof claims === 'object' && claims !== null) return claims as Claims;
    } catch (error) {
      cause = error;
    }
  throw refused('the bearer token is not a JWT with a valid HS256 signature', cause);
}

function principal(claims: Claims, auth: Config['auth'], nowMs: number): Principal {
  const { jwtLeewayMs: leewayMs } = auth;
  const exp = time(claims, 'exp');
  const nbf = time(claims, 'nbf');
  if (exp === undefined && auth.jwtRequireExp) throw refused('the token must carry exp');
  if (exp !== undefined && nowMs >= exp * 1000 + leewayMs)
    throw refused('the token has expired; get a new one');
  if (nbf !== undefined && nowMs < nbf * 1000 - leewayMs) throw refused('the token is not valid yet');
  if (auth.jwtIssuer !== undefined && claims.iss !== auth.jwtIssuer)
    throw refused('the token comes from another issuer than NOTIFY_AUTH_JWT_ISSUER');
  if (auth.jwtAudience !== undefined && ![claims.aud].flat().includes(auth.jwtAudience))
    throw refused('the token is for another audience than NOTIFY_AUTH_JWT_AUDIENCE');
  const userId = claims.sub;
  const tenantId = claims.tenant || claims.tenant_id;
  if (!isName(userId)) throw refused('the token must carry sub, the user');
  if (!isName(tenantId)) throw refused('the token must carry tenant or tenant_id');
  return {
    userId,
    tenantId,
    email: typeof claims.email === 'string' ? claims.email : undefined,
    expiresAtMs: endMs(exp, auth.jwtLeewayMs, nowMs),
  };
}

/**
 * When a stream that is opened with a token ends: with the token, and one that is opened in the leeway with that, so that a
 * client that comes back with the same token is not sent away again and again until it is refused.
 */
function endMs(exp: number | undefined, leewayMs: number, nowMs: number): number | undefined {
  if (exp === undefined) return undefined;
  return nowMs < exp * 1000 ? exp * 1000 : exp * 1000 + leewayMs;
}

/** Whether a user or a tenant can be called so: text that every store can hold. */
const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && !value.includes('\0') && value.isWellFormed();

/** A NumericDate claim in seconds, undefined where it is absent. */
function time(claims: Claims, name: 'exp' | 'nbf'): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw refused(`the token's ${name} must be a number of seconds`);
  return value;
}
