import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EmbeddedPostgres } from '../src/dev/embedded-postgres.ts';

/** Of /proc: a hundredth of a second, on every Linux that Node runs on. */
const msPerTick = 10;

/** CPU time of a process so far, in milliseconds; 0 for one that has gone. Linux only. */
export function cpuMs(pid: number): number {
  const { used } = look(String(pid));
  return used * msPerTick;
}

/** CPU time of a Postgres server so far, of all its processes, in milliseconds. */
export function postgresCpuMs(database: EmbeddedPostgres): number {
  const [pid = ''] = readFileSync(join(database.folder, 'data', 'postmaster.pid'), 'utf8').split('\n');
  const postmaster = look(pid);
  let used = postmaster.used + postmaster.ended;
  for (const other of readdirSync('/proc')) {
    if (!/^\d+$/.test(other)) continue;
    const child = look(other);
    if (child.parent === pid) used += child.used;
  }
  return used * msPerTick;
}

/** The machine's load average over the last minute. */
export const loadAverage = (): string => readFileSync('/proc/loadavg', 'utf8').split(' ')[0] ?? '';

/** See proc_pid_stat(5). */
function look(pid: string): { parent: string; used: number; ended: number } {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return { parent: '', used: 0, ended: 0 };
  }
  // the name, in brackets, may hold anything
  const fields = text.slice(text.lastIndexOf(') ') + 2).split(' ');
  const at = (place: number) => Number(fields[place]);
  return { parent: fields[1] ?? '', used: at(11) + at(12), ended: at(13) + at(14) };
}
