import { hash, timingSafeEqual } from 'node:crypto';
import { NotifyError } from '../../src/core/errors.ts';

/**
 * Checks X-Notify-Internal-Token against the accepted tokens, in a time that tells nothing about them.
 * Without any, which configuration allows in dev mode only, every call is let in.
 * @param tokens the current token and the one that is being rotated out; undefined ones do not count
 */
export function internalAuthenticator(
  tokens: readonly (string | undefined)[],
): (given: string | string[] | undefined) => void {
  // digests have one length, whatever the tokens'
  const accepted = tokens.filter((token) => token !== undefined).map(digest);
  return (given) => {
    if (accepted.length === 0) return;
    if (typeof given === 'string') {
      const offered = digest(given);
      let known = false;
      for (const token of accepted) known = timingSafeEqual(offered, token) || known;
      if (known) return;
    }
    throw new NotifyError(
      'unauthenticated',
      'the header X-Notify-Internal-Token is missing or is not NOTIFY_INTERNAL_TOKEN',
    );
  };
}

const digest = (token: string): Buffer => hash('sha256', token, 'buffer');
