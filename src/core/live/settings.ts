/** How live streams behave. Values come from NOTIFY_LIVE_*; those without a variable have their default here. */
export interface LiveSettings {
  readonly heartbeatIntervalMs: number;
  /** Pause between two sends of a hint that was not acknowledged. */
  readonly retryIntervalMs: number;
  /** How often a hint is sent again after the first time. This or the pause 0: never. */
  readonly retryMaxAttempts: number;
  /** A stream's nominal life, of which each lives a random 80 to 100 %; 0: no end. */
  readonly maxAgeMs: number;
  /** On all replicas together, as far as they know of each other. */
  readonly maxStreamsPerUser: number;
  /** In this process. */
  readonly maxStreams: number;
  /** In this process; 0: no limit. */
  readonly maxStreamsPerTenant: number;
  readonly endAtTokenExpiry: boolean;
}

/**
 * Above this many buffered bytes a session is sent nothing more; what it misses it reads from the store once its
 * socket has drained. So a reader costs at most this plus one event, however much arrives for it.
 */
export const bufferLimitBytes = 64 * 1024;

/** A session whose buffer was over the limit, and of which its reader then takes nothing for this long, is cut. */
export const stallTimeoutMs = 10_000;

/** A replay reads this many items at a time, and fewer where their texts reach as many bytes as a session may buffer. */
export const replayPage = 100;

/** Calls at a time that read on for streams that are open, of all users. */
export const readsAtOnce = 2;

/** How many streams are read on by one call. */
export const streamsPerRead = 100;

/** Such a call reads about this many items in all, a hundredth of it at least of each stream. */
export const itemsPerRead = 1_000;

/** Such a call ends with the item whose texts reach this many bytes. */
export const bytesPerRead = 1024 * 1024;

/** Calls at a time that read one user's inbox, mostly for streams that open. Half of a store's connections are others'. */
export const userReadsAtOnce = 3;

/** How often a stream that is open asks an unavailable store again before it ends, and the pause before each, in milliseconds. */
export const storeRetries = 30;
export const storeRetryMs = 1_000;

/** How many items that streams have taken are recorded by one call. */
export const takenPerWrite = 500;

/** So many that could not be recorded yet are kept, some hundred bytes each; what comes beyond stays pending. */
export const unrecordedItems = 50_000;

/** How often recording is tried that fails by a store that is there; one that is unavailable is waited for, with pauses up to this. */
export const takenTries = 5;
export const longestStoreRetryMs = 30_000;

/** Hints that wait for one session's acknowledgement; the oldest go beyond it. */
export const pendingHintsPerSession = 1_000;

/** On shutdown, streams end this far apart on average, so that a thousand clients do not come back at once. */
export const drainSpacingMs = 5;

/** Streams that opened in one moment end in so many groups, spread over a fifth of their age. */
export const ageSteps = 1_024;

/** How many sessions are looked up in the store by one call. */
export const checkBatch = 500;

/** So many sessions are told in one turn of the event loop what such a call found, or that all is well: some 2 ms of work. */
export const checksPerTurn = 100;

/** Looks at all sessions are at least this far apart, in milliseconds. */
export const checkSpacingMs = 100;

/** After this long every other replica knows of a session that opened, in milliseconds. */
export const settleMs = 1_000;

/** What an operator sees of the hub. */
export interface LiveObserver {
  opened(session: SessionInfo): void;
  closed(session: SessionInfo, reason: string): void;
  sent(kind: string): void;
  /** A stream was the first to take an item, this long after it was stored; told once for an item, when that is recorded. */
  delivered(afterMs: number): void;
  /** A session's reader does not keep up; `cut`: and is dropped for it. */
  slow(session: SessionInfo, cut: boolean): void;
  failed(what: string, error: unknown): void;
}

export interface SessionInfo {
  readonly id: string;
  readonly tenantId: string;
  readonly userId: string;
  /** browser, android, ios, or unspecified. */
  readonly deviceType: string;
}
