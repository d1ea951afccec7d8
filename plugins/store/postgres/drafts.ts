import type { EpochMs } from '../../../src/core/glossary.ts';
import type { Lease } from '../../../src/core/outbox.ts';
import type { NewNotification } from '../../../src/core/store.ts';

/** What one caller stores at once, and who attempts it. */
export interface CreateCall {
  readonly rows: readonly NewNotification[];
  readonly lease: Lease | undefined;
}

/** A row of a batch, with the time when its deliveries are due. */
export interface Draft {
  readonly row: NewNotification;
  readonly lease: Lease | undefined;
  /** The lease's end, where there is one and the row is not for later. */
  readonly dueAtMs: EpochMs;
}
