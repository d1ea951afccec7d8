import { type Row, standing } from './row.ts';

/** Who is in which of an inbox's lists, by the standing that the inbox has given a row. */
export const isListed = (row: Row): boolean => (row.standing & standing.listed) !== 0;
export const isUntaken = (row: Row): boolean => (row.standing & standing.untaken) !== 0;
export const isTaken = (row: Row): boolean => (row.standing & standing.taken) !== 0;
export const isExpiring = (row: Row): boolean => (row.standing & standing.expiring) !== 0;
/** Whether a row may be dropped to make room. */
export const isEvictable = (row: Row): boolean => (row.standing & standing.evictable) !== 0;

/** The order of the inbox. */
export const byPosition = (a: Row, b: Row): number => a.position - b.position;

/** By the time a stream took them; it never changes once it is set. */
export function byTaken(a: Row, b: Row): number {
  const [takenA, takenB] = [a.inApp?.deliveredAtMs ?? 0n, b.inApp?.deliveredAtMs ?? 0n];
  return takenA < takenB ? -1 : takenA > takenB ? 1 : a.position - b.position;
}

/** The order in which rows expire. */
export function expiresBefore(a: Row, b: Row): boolean {
  const [expiryA, expiryB] = [a.content.expiresAtMs, b.content.expiresAtMs];
  return expiryA < expiryB || (expiryA === expiryB && a.position < b.position);
}

/** The order in which rows are dropped. */
export const isOlder = (a: Row, b: Row): boolean => a.sequence < b.sequence;
