import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.ts';

/** Ids of the processes of a Postgres server: the postmaster, and every child of it. */
function processesOf(dataFolder: string): number[] {
  const postmaster = Number(readFileSync(join(dataFolder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === postmaster);
  return [postmaster, ...children];
}

/** The parent and the state of a process are after the command's closing bracket (proc(5)). */
function statOf(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return []; // gone meanwhile
  }
}

const parentOf = (pid: number): number => Number(statOf(pid)[1] ?? -1);

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // gone meanwhile
  }
}

/** Why this machine cannot freeze a server; false: it can. */
export const cannotFreeze = process.platform === 'linux' ? false : 'finds the processes of Postgres in /proc';

/**
 * Stops every process of a Postgres server in its tracks: connections stay open and nobody answers, as behind a network that
 * swallows everything.
 * @returns lets it go on
 */
export async function freeze({ folder }: { readonly folder: string }): Promise<() => void> {
  // the postmaster first, so that it has no more children
  const [postmaster = 0] = processesOf(folder);
  signal(postmaster, 'SIGSTOP');
  await eventually('the postmaster to stand still', () => statOf(postmaster)[0] === 'T');
  const all = processesOf(folder);
  for (const pid of all) signal(pid, 'SIGSTOP');
  return () => {
    for (const pid of all.toReversed()) signal(pid, 'SIGCONT');
  };
}
