import type { Ambient, Clock } from '../../../src/core/ambient.ts';
import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  codes,
  DeliveryError,
  type SendOptions,
  type SendReceipt,
} from '../../../src/core/channel.ts';
import type { Channel } from '../../../src/core/glossary.ts';
import type { OpenProvider } from '../open.ts';
import { type Behaviour, behaviourIn } from './behaviour.ts';
import { letterOf, type TestMailbox } from './mailbox.ts';
import type { TestScript } from './script.ts';

/** A channel's provider that sends nothing: it keeps messages in the mailbox, and fails as it is told. */
export const testProvider =
  (channel: Channel): OpenProvider =>
  async (app) => {
    const { mailbox, script } = app.testProviders;
    script.open(channel);
    return new TestProvider(channel, { mailbox, script, ambient: app.ambient });
  };

class TestProvider implements ChannelProvider {
  readonly name = 'test';
  readonly channel: Channel;
  readonly #mailbox: TestMailbox;
  readonly #script: TestScript;
  readonly #clock: Clock;

  constructor(channel: Channel, parts: { mailbox: TestMailbox; script: TestScript; ambient: Ambient }) {
    this.channel = channel;
    this.#mailbox = parts.mailbox;
    this.#script = parts.script;
    this.#clock = parts.ambient.clock;
  }

  async send(message: ChannelMessage, { signal, idempotencyKey }: SendOptions): Promise<SendReceipt> {
    const { destination } = message;
    const settle = this.#mailbox.add(letterOf(this.channel, message, idempotencyKey, this.#clock.now()));
    // its own address says more of a message than its channel does
    const behaviour = behaviourIn(destination) ?? this.#script.take(this.channel);
    const delayMs = pauseOf(behaviour);
    try {
      if (delayMs !== 0) await pause(delayMs, this.#clock, signal);
    } catch (error) {
      settle('aborted');
      throw error;
    }
    if (behaviour.kind === 'fail') {
      settle('failed');
      const { retryAfterMs } = behaviour;
      throw new DeliveryError('test_failure', 'the test provider was told to fail for the moment', {
        retryable: true,
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      });
    }
    if (behaviour.kind === 'refuse') {
      settle('refused');
      throw new DeliveryError('test_refusal', 'the test provider was told to refuse', { retryable: false });
    }
    if (behaviour.kind === 'gone') {
      settle('refused');
      throw new DeliveryError(goneCode(this.channel), 'the test provider was told that it is gone', {
        retryable: false,
      });
    }
    settle('accepted');
    // like a provider that knows a repeat by its key
    return { providerMessageId: `test-${idempotencyKey}` };
  }

  async check(): Promise<Checked> {
    return { state: 'ready', note: 'the test provider sends nothing' };
  }
}

/** What providers of a channel say of a destination that is no more. */
function goneCode(channel: Channel): string {
  if (channel === 'web_push') return 'subscription_gone';
  return channel === 'mobile_push' ? 'unregistered_token' : codes.destinationGone;
}

/** How long an answer takes, in milliseconds; undefined: for ever. */
function pauseOf(behaviour: Behaviour): number | undefined {
  if (behaviour.kind === 'stall') return undefined;
  return behaviour.kind === 'slow' ? behaviour.delayMs : 0;
}

/** @param ms undefined: for ever. Rejects when the signal is aborted */
function pause(ms: number | undefined, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let cancel = (): void => {};
    const abort = () => {
      cancel();
      reject(new DeliveryError('timeout', 'the test provider did not answer', { retryable: true }));
    };
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    if (ms !== undefined)
      cancel = clock.after(ms, () => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
  });
}
