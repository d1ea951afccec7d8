import { availableParallelism, cpus, totalmem } from 'node:os';
import { benchBoot } from './boot.ts';
import { benchExplain } from './explain.ts';
import type { Figure } from './figures.ts';
import { benchLive } from './live.ts';
import { benchNotify } from './notify.ts';
import { benchOutbox } from './outbox.ts';
import { benchPostgres } from './postgres.ts';
import { benchProviders } from './providers.ts';
import { benchStreams } from './streams.ts';

/** Every benchmark, or those that the command line names; prints a table for bench/README.md. */
const benches: Readonly<Record<string, () => Promise<Figure[]>>> = {
  boot: benchBoot,
  explain: benchExplain,
  live: benchLive,
  notify: benchNotify,
  outbox: benchOutbox,
  postgres: benchPostgres,
  providers: benchProviders,
  streams: benchStreams,
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(benches);
const print = (line: string) => process.stdout.write(`${line}\n`);

print(
  `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}; load and service on the same machine\n`,
);
print('| what | measured | target | met |\n|---|---|---|---|');
for (const name of names) {
  const bench = benches[name];
  if (bench === undefined)
    throw new Error(`there is no benchmark ${name}; there are ${Object.keys(benches).join(', ')}`);
  for (const figure of await bench())
    print(`| ${figure.name} | ${figure.value} | ${figure.target} | ${figure.met ? 'yes' : 'no'} |`);
}
