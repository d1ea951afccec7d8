import { NotifyError } from '../errors.ts';
import type { LiveSettings } from './settings.ts';

/** A stream that must not open now, as a value: a browser needs another answer for it than an RPC client. */
export interface Refusal {
  readonly reason: 'too_many_streams' | 'overloaded' | 'shutdown';
  readonly error: NotifyError;
}

/** When to come back where a client has to close a stream first, in milliseconds. */
const fullRetryMs = 600_000;
/** And where it may help to wait, or to come back to another replica. */
const soonMs = 5_000;

/** How many streams are open when another one is asked for. */
export interface OpenStreams {
  readonly isStopping: boolean;
  readonly ofUser: number;
  /** At other replicas, as far as this one knows. */
  readonly ofUserElsewhere: number;
  readonly ofTenant: number;
  readonly ofProcess: number;
}

/** Why one stream more cannot open; undefined when it can. */
export function refusalOf(open: OpenStreams, settings: LiveSettings): Refusal | undefined {
  const { maxStreamsPerUser, maxStreams, maxStreamsPerTenant } = settings;
  if (open.isStopping)
    return {
      reason: 'shutdown',
      error: new NotifyError('unavailable', 'this server is stopping; open the stream again', {
        retryAfterMs: 1_000,
      }),
    };
  if (open.ofUser + open.ofUserElsewhere >= maxStreamsPerUser)
    return {
      reason: 'too_many_streams',
      error: new NotifyError(
        'resource_exhausted',
        `this user already has ${maxStreamsPerUser} live streams; close one, or raise NOTIFY_LIVE_MAX_STREAMS_PER_USER`,
        // a replica that was killed counts for some seconds more, while its clients come back here
        { retryAfterMs: open.ofUser >= maxStreamsPerUser ? fullRetryMs : soonMs },
      ),
    };
  if (open.ofProcess >= maxStreams)
    return {
      // another replica may have room, and so may this one soon
      reason: 'overloaded',
      error: new NotifyError(
        'resource_exhausted',
        `this server already has ${maxStreams} live streams; open the stream again, or raise NOTIFY_LIVE_MAX_STREAMS`,
        { retryAfterMs: soonMs },
      ),
    };
  if (maxStreamsPerTenant > 0 && open.ofTenant >= maxStreamsPerTenant)
    return {
      reason: 'too_many_streams',
      error: new NotifyError(
        'resource_exhausted',
        `this tenant already has ${maxStreamsPerTenant} live streams on this server; close some, or raise NOTIFY_LIVE_MAX_STREAMS_PER_TENANT`,
        { retryAfterMs: fullRetryMs },
      ),
    };
  return undefined;
}
