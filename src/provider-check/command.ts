import type { FastifyInstance } from 'fastify';
import type { Built } from '../config/choices.ts';
import type { Config } from '../config.ts';
import { checkProvider, type ProviderReport } from '../core/provider-check.ts';
import { howToSwitchOn, sentChannels, switchOf, variablesOf } from './channel-variables.ts';
import { readableConfig } from './readable-config.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A line of the report. `incomplete`: it is switched on, and a variable is missing or wrong. */
interface Row {
  readonly channel: string;
  readonly provider: string;
  readonly state: ProviderReport['state'] | 'not_configured' | 'incomplete';
  readonly todo: string;
}

/**
 * `npm run providers:check`: asks every provider that the environment names whether it takes our credentials, side by side.
 * @param open the providers of a configuration, without a store or a port
 * @returns the report; whether all that is switched on is well
 * @throws where a module or a provider cannot be opened
 */
export async function checkProviders(
  env: Env,
  built: Built,
  open: (config: Config) => Promise<FastifyInstance>,
): Promise<{ readonly text: string; readonly isGood: boolean }> {
  const { config, wrong } = readableConfig(env, built);
  const app = await open(config);
  let reports: readonly ProviderReport[];
  try {
    const { signal } = new AbortController();
    reports = await Promise.all(
      [...app.providers.values()]
        .flat()
        .map((provider) => checkProvider(provider, app.ambient.clock, signal)),
    );
  } finally {
    await app.close();
  }
  const rows = sentChannels.flatMap((channel): Row[] => {
    const incomplete = wrong.get(channel);
    if (incomplete !== undefined) {
      const provider = channel === 'webhook' ? channel : (env[switchOf(channel)]?.trim() ?? '');
      return incomplete.map((todo) => ({ channel, provider, state: 'incomplete', todo }));
    }
    const found = reports.filter((report) => report.channel === channel);
    if (found.length > 0) return found.map((report) => rowOf(report, env));
    return [{ channel, provider: '', state: 'not_configured', todo: howToSwitchOn(channel, built) }];
  });
  const bad = ['rejected', 'unreachable', 'incomplete'];
  const sandbox =
    config.sandbox.rule === undefined
      ? ''
      : '\nNOTIFY_SANDBOX is on: whatever this says, nothing reaches real people.\n';
  return { text: `${table(rows)}${sandbox}`, isGood: !rows.some(({ state }) => bad.includes(state)) };
}

function rowOf({ channel, provider, state, detail }: ProviderReport, env: Env): Row {
  const set = variablesOf(channel, provider).filter((variable) => env[variable]?.trim());
  const isBad = state === 'rejected' || state === 'unreachable';
  const hint = isBad && set.length > 0 ? `; look at ${set.join(', ')}` : '';
  return { channel, provider, state, todo: `${detail}${hint}` };
}

/** Columns as wide as they must be; words are told as words. */
function table(rows: readonly Row[]): string {
  const head = ['CHANNEL', 'PROVIDER', 'STATE', 'WHAT TO DO, OR WHAT WAS FOUND'];
  const lines = [
    head,
    ...rows.map(({ channel, provider, state, todo }) => [
      channel,
      provider || '-',
      state.replaceAll('_', ' '),
      todo,
    ]),
  ];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line.map((cell, column) => cell.padEnd(column === 3 ? 0 : (widths[column] ?? 0))).join('  '),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}
