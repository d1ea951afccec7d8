/**
 * How much a failure test does. CHAOS=short is what every change runs; without it the long form runs. One number of it can be
 * set alone, such as CHAOS_KILLS=200.
 */
const isShort = process.env.CHAOS === 'short';

/** @param name what comes after CHAOS_ in the environment */
export function amount(
  name: string,
  { short, long }: { readonly short: number; readonly long: number },
): number {
  const given = process.env[`CHAOS_${name}`];
  const value = given === undefined ? (isShort ? short : long) : Number(given);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`CHAOS_${name} must be a number above 0`);
  return value;
}

/** For the random choices of a test. It is printed, and CHAOS_SEED repeats it. */
export const seed = (): number => amount('SEED', randomSeed());

function randomSeed(): { short: number; long: number } {
  const drawn = 1 + Math.floor(Math.random() * (2 ** 31 - 1));
  return { short: drawn, long: drawn };
}
