import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until a condition holds, looking at it again and again.
 * @param check resolves to the value to wait for; undefined, null, false, and an error: not yet
 * @returns the value
 * @throws what the last look threw, or an Error naming `what`, when the deadline passes first
 */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
  deadlineMs = 15_000,
): Promise<Exclude<T, undefined | null | false>> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    let last: unknown;
    try {
      const value = await check();
      if (value !== undefined && value !== null && value !== false)
        return value as Exclude<T, undefined | null | false>;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= until)
      throw new Error(
        `not within ${deadlineMs} ms: ${what}`,
        last === undefined ? undefined : { cause: last },
      );
    await sleep(5);
  }
}
