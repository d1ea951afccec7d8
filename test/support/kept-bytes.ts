import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/**
 * What this process goes on holding once the garbage is collected, in bytes, on V8's heap and beside it: the least of
 * several readings, taken until none has been lower for a while. A single one counts also what is on its way out
 * (finalizers, timers about to fire, buffers that the loop frees later).
 */
export async function keptBytes(): Promise<number> {
  let least = collected();
  for (let noLower = 0; noLower < 5; noLower += 1) {
    await sleep(10);
    const reading = collected();
    if (reading < least - 10_000) noLower = 0;
    least = Math.min(least, reading);
  }
  return least;
}

function collected(): number {
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
