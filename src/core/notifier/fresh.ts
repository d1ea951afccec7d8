import type { Delivery } from '../glossary.ts';

/** What an answer tells of a delivery that this call attempted. */
export type Shown = Pick<Delivery, 'status' | 'reason' | 'dueAtMs'>;

/** What became of deliveries in this call, by delivery id; what is not in it is as it was stored. */
export type Fresh = ReadonlyMap<string, Shown>;

/** The same, while first attempts still add to it. */
export type Freshening = Map<string, Shown>;

export const nothingFresh: Fresh = new Map();
