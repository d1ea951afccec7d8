/** How many rows a page has at most. */
export interface PageLimit {
  /** Where a caller does not say. */
  readonly usual: number;
  readonly most: number;
}

/** Of what operators and backends page through. */
export const logPages: PageLimit = { usual: 50, most: 500 };

/**
 * The rows that a page has at most.
 * @param asked by the caller; 0 or less: the usual number
 */
export const pageLimit = (asked: number, { usual, most }: PageLimit): number =>
  asked <= 0 ? usual : Math.min(asked, most);
