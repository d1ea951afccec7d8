import type { Ambient } from '../ambient.ts';
import type { Session } from './session.ts';
import { ageSteps, type LiveSettings } from './settings.ts';

/**
 * Ends a session at its age limit or with its token, whichever comes first.
 * @param tokenExpiresAtMs UTC epoch milliseconds of the token's end; undefined: none
 */
export function endInTime(
  session: Session,
  tokenExpiresAtMs: number | undefined,
  settings: Pick<LiveSettings, 'maxAgeMs' | 'endAtTokenExpiry'>,
  ambient: Pick<Ambient, 'clock' | 'random'>,
): void {
  // not among the parameters: V8 would keep a second context for each session
  const { maxAgeMs, endAtTokenExpiry } = settings;
  const { clock } = ambient;
  const never = Number.POSITIVE_INFINITY;
  // in steps: Node keeps a list for each length of a timer, and ten thousand lists of one would cost more than the timers
  const jitter = Math.floor(ambient.random() * ageSteps) / ageSteps;
  const aged = maxAgeMs > 0 ? maxAgeMs * (0.8 + 0.2 * jitter) : never;
  const expired =
    endAtTokenExpiry && tokenExpiresAtMs !== undefined ? Math.max(0, tokenExpiresAtMs - clock.now()) : never;
  if (aged === never && expired === never) return;
  const reason = expired <= aged ? 'token_expired' : 'max_age';
  session.onEnd(clock.after(Math.min(aged, expired), () => session.end(reason, true)));
}
