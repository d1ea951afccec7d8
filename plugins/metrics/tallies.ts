import type { FastifyInstance } from 'fastify';

type Client = FastifyInstance['metrics']['client'];
type Counter = InstanceType<Client['Counter']>;

/**
 * Counts for a counter of the metrics client, handed over when it is scraped: the client finds a counter by its labels each
 * time, which takes longer than most of what is counted on a hot path.
 */
export class Tallies {
  readonly #counts: { count: number; readonly labels: Readonly<Record<string, string>> }[] = [];

  /** @returns counts one more of these labels */
  of(labels: Readonly<Record<string, string>>): () => void {
    const tally = { count: 0, labels };
    this.#counts.push(tally);
    return () => {
      tally.count += 1;
    };
  }

  /** For the counter's `collect`. */
  handOver(counter: Pick<Counter, 'inc'>): void {
    for (const tally of this.#counts) {
      if (tally.count > 0) counter.inc(tally.labels, tally.count);
      tally.count = 0;
    }
  }
}
