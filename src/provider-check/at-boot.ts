import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { checkProvider } from '../core/provider-check.ts';
import { sentChannels, switchOf } from './channel-variables.ts';

/**
 * Says in the log which channels send, by what, and which variables would switch on the rest; then, one by one, whether the providers
 * take our credentials. Nothing waits for it, and nothing depends on it.
 * @param signal ends it
 */
export function reportProviders(core: FastifyInstance, logger: FastifyBaseLogger, signal: AbortSignal): void {
  const { providers, ambient } = core;
  const names = sentChannels.map((channel) => {
    const all = providers.get(channel)?.map(({ name }) => name);
    return [channel, all?.join()] as const;
  });
  logger.info(
    {
      active: Object.fromEntries(names.filter(([, name]) => name !== undefined)),
      off: Object.fromEntries(
        names.filter(([, name]) => name === undefined).map(([channel]) => [channel, switchOf(channel)]),
      ),
    },
    'channels',
  );
  for (const provider of [...providers.values()].flat())
    void checkProvider(provider, ambient.clock, signal).then((report) => {
      if (signal.aborted) return;
      const isBad = report.state === 'rejected' || report.state === 'unreachable';
      logger[isBad ? 'warn' : 'info'](report, 'provider_check');
    });
}
