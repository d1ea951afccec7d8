import type { Clock } from './ambient.ts';
import { type ChannelProvider, type Checked, codes, DeliveryError } from './channel.ts';

/** What a check of a provider came to. */
export interface ProviderReport {
  readonly channel: string;
  readonly provider: string;
  /**
   * - ready: it takes our credentials, or asks for none;
   * - rejected: an operator has to act;
   * - unreachable: it could not be asked;
   * - not_checkable: it has no call that tells.
   */
  readonly state: Checked['state'] | 'rejected' | 'unreachable';
  /** In words that hold no secret. */
  readonly detail: string;
}

/** How long a provider may take to answer, in milliseconds. */
export const checkTimeoutMs = 10_000;

/** Asks a provider whether it takes our credentials; sends nothing. Never rejects. @param signal ends it early */
export async function checkProvider(
  provider: ChannelProvider,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProviderReport> {
  const { channel, name } = provider;
  const report = (state: ProviderReport['state'], detail: string): ProviderReport => ({
    ...{ channel, provider: name, state, detail },
  });
  if (provider.check === undefined)
    return report('not_checkable', 'this provider has no check; the first message shows');
  const late = new AbortController();
  const cancel = clock.after(checkTimeoutMs, () => late.abort());
  const either = AbortSignal.any([signal, late.signal]);
  const stopped = new Promise<never>((_, reject) => {
    const stop = () =>
      reject(new DeliveryError(codes.interrupted, 'the check was ended', { retryable: true }));
    if (either.aborted) stop();
    else either.addEventListener('abort', stop, { once: true });
  });
  // a check that throws at once leaves nobody to hear of it
  stopped.catch(() => {});
  try {
    const { state, note } = await Promise.race([provider.check({ signal: either }), stopped]);
    return report(state, note);
  } catch (error) {
    if (late.signal.aborted) return report('unreachable', `no answer came within ${checkTimeoutMs / 1000} s`);
    // what else a provider throws may quote anything
    if (!(error instanceof DeliveryError))
      return report('unreachable', 'the check failed in an unexpected way');
    return report(isRejected(error) ? 'rejected' : 'unreachable', error.message);
  } finally {
    cancel();
  }
}

const isRejected = ({ code, retryable }: DeliveryError): boolean =>
  !retryable || code === codes.credentialsRejected || code === codes.misconfigured;
