/** Everything about connections and batches that has a number. Times are in milliseconds. */
export const settings = {
  /**
   * Connections of one process. Two write batches, the rest answers readers; more would only queue in Postgres, whose
   * useful number is about twice its cores. Ten replicas take 100, Postgres's own default limit.
   */
  poolSize: 10,
  /** How long a call waits for a connection, new or free. Shorter than the callers' own time-outs, which are about 10 s. */
  connectTimeoutMs: 3_000,
  /** Idle connections beyond need are closed after this. */
  idleTimeoutMs: 60_000,
  /** A connection's age at which it is replaced, so that replicas spread again after a failover or a new address. */
  connectionLifetimeS: 30 * 60,

  /** The longest statement. The slowest of ours marks 100,000 items as read, in about 2 s. */
  statementTimeoutMs: 15_000,
  /** The longest wait for another transaction's row: far more than a batch takes, less than a statement may. */
  lockTimeoutMs: 5_000,
  /** When Postgres ends a transaction whose client says nothing, and so frees the rows that it had locked. */
  idleInTransactionTimeoutMs: 10_000,
  /** When we stop waiting for an answer, in case the network swallowed it: later than Postgres itself gives up. */
  answerTimeoutMs: 20_000,

  /** How often one probe looks whether Postgres is back. */
  probeIntervalMs: 500,
  /** For how long an answer of Postgres proves that it is there; what waits longer has it looked at. */
  freshMs: 1_000,
  /** How often somebody who waits is thought of. */
  watchIntervalMs: 500,
  /** How long opening the store waits for a Postgres that is starting, or on a machine that starts much else. */
  bootWaitMs: 30_000,
  /** The pause before opening it is tried again. */
  bootPauseMs: 250,

  /** How often a transaction is tried that lost against another one (40001, 40P01). */
  conflictAttempts: 6,
  /** The pause before trying again is random between 0 and this, doubled each time. */
  conflictPauseMs: 10,

  /**
   * Batches written at the same time, at most. The next goes ahead when it has gathered 20 rows, so that we prepare one while
   * Postgres writes another, or when the one before is held up: by a disk, or by somebody's lock. (64 callers, calls a second:
   * 11,900 where the next waited for 100 rows, which is to write one batch at a time; 13,000 with 15 to 25; 12,500 with 10,
   * where batches get small.)
   */
  flushers: 3,
  aheadShare: 0.04,
  aheadAfterMs: 15,
  /**
   * Rows of one batch. A larger call is written in parts of this size, next to each other: two cores of Postgres then share the
   * thousand recipients of one call.
   */
  rowsPerFlush: 500,
  /** Tenants and channels that one look at the outbox visits; the next look goes on from there. */
  pairsPerScan: 500,
  /** Items that are cancelled in one transaction. */
  itemsPerCancel: 500,
  /** Items of a user that one statement erases, with their deliveries. */
  itemsPerErase: 5_000,
  /** Users or addresses that one statement looks up for Notify calls that came together. */
  lookUpsPerRead: 1_000,
  /** Bytes of one batch, by the length of its texts, unless one call alone is larger. */
  bytesPerFlush: 8 * 2 ** 20,
} as const;

/**
 * What every session is told about plans. All our statements find rows by an index, for a handful or for thousands of keys.
 * A plan that was made while a table was small would read all of it, or join it as a whole, and a prepared statement keeps
 * its plan until the next ANALYZE: a table that grows by 10,000 rows a second does not have that long.
 */
export const sessionSettings = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
  // planning anew for every value of LIMIT took three times as long as answering
  plan_cache_mode: 'force_generic_plan',
} as const;
