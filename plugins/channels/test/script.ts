import { invalidArgument, NotifyError, type Violation } from '../../../src/core/errors.ts';
import type { Channel } from '../../../src/core/glossary.ts';
import { type Behaviour, behaviourOf } from './behaviour.ts';

/** What the next messages of a channel meet. */
export interface Scene {
  /** A word, see behaviourOf. */
  readonly next: string;
  /** How many messages; then they are accepted again. Undefined: until something else is set. */
  readonly count: number | undefined;
}

const usual: Scene = { next: 'accept', count: undefined };
const largestCount = 1_000_000;

/** What messages meet, by channel: an outage that a person or a test switches on and off. */
export class TestScript {
  readonly #scenes = new Map<Channel, Scene>();

  /** Says that a channel has a test provider. */
  open(channel: Channel): void {
    this.#scenes.set(channel, usual);
  }

  /** By channel that has a test provider. */
  get scenes(): ReadonlyMap<Channel, Scene> {
    return this.#scenes;
  }

  /**
   * Sets what the next messages meet.
   * @param channel '' for every channel that has a test provider
   * @param wanted `{next, count}`, as a caller sent it
   * @throws NotifyError not_found; invalid_argument
   */
  set(channel: string, wanted: unknown): void {
    const open = [...this.#scenes.keys()];
    const meant = channel === '' ? open : open.filter((known) => known === channel);
    if (meant.length === 0)
      throw new NotifyError(
        'not_found',
        `this channel has no test provider; those that have one: ${open.join(', ') || 'none'}`,
      );
    const scene = sceneFrom(wanted);
    for (const one of meant) this.#scenes.set(one, scene);
  }

  /** What one more message of a channel meets. */
  take(channel: Channel): Behaviour {
    const { next, count } = this.#scenes.get(channel) ?? usual;
    if (count !== undefined) this.#scenes.set(channel, count > 1 ? { next, count: count - 1 } : usual);
    return behaviourOf(next) ?? { kind: 'accept' };
  }
}

/** @throws NotifyError invalid_argument */
function sceneFrom(wanted: unknown): Scene {
  const { next, count } = (typeof wanted === 'object' && wanted !== null ? wanted : {}) as Record<
    string,
    unknown
  >;
  const violations: Violation[] = [];
  if (typeof next !== 'string' || behaviourOf(next) === undefined)
    violations.push({
      field: 'next',
      description:
        'must be accept, fail, refuse, gone, stall or slow; fail and slow may be followed by a time, such as fail30s or slow500ms',
    });
  const isCount = Number.isSafeInteger(count) && Number(count) >= 1 && Number(count) <= largestCount;
  if (count !== undefined && count !== null && !isCount)
    violations.push({
      field: 'count',
      description: `must be a whole number from 1 to ${largestCount.toLocaleString('en')}; leave it out for until something else is set`,
    });
  if (violations.length > 0) throw invalidArgument(violations);
  return { next: String(next).toLowerCase(), count: isCount ? Number(count) : undefined };
}
