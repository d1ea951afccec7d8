import { lookup } from 'node:dns/promises';
import type { TestContext } from 'node:test';
import { type PresetParts, presetProvider } from '../../plugins/channels/http-api/presets.ts';
import { guardedAgent } from '../../plugins/egress/guarded-agent.ts';
import type { ChannelMessage, ChannelProvider, SendReceipt } from '../../src/core/channel.ts';
import { AddressRules } from '../../src/core/egress/address.ts';
import { egressTarget } from '../../src/core/egress/target.ts';
import type { Content } from '../../src/core/glossary.ts';
import { type FakeClock, fakeClock } from './ambient.ts';

export { presetProvider };

/** What a preset needs, with a guard that lets loopback through. */
export function chatParts(t: Pick<TestContext, 'after'>, clock: FakeClock = fakeClock()): PresetParts {
  const rules = { addresses: new AddressRules(['127.0.0.0/8']), allowHttp: true };
  const agent = guardedAgent(rules, { resolve: (hostname) => lookup(hostname, { all: true }) });
  t.after(() => agent.destroy());
  return {
    egress: { target: (url) => egressTarget(url, rules), agent: async () => agent },
    ambient: { clock },
  };
}

/** Hands one message to a provider. */
export function sendBy(
  provider: ChannelProvider,
  destination: string,
  content: Partial<Content> = {},
  over: Partial<ChannelMessage> = {},
): Promise<SendReceipt> {
  const id = '01a20154-4c24-73da-a2b6-000000000001';
  return provider.send(
    {
      tenantId: 'demo',
      userId: 'ada',
      id,
      deliveryId: id,
      destination,
      createdAtMs: 1_767_225_600_000n,
      content: {
        notificationId: 'note-1',
        type: 'order.shipped',
        subjectRef: '42',
        subjectType: 'order',
        title: 'title',
        body: 'body',
        urgency: undefined,
        data: undefined,
        actionUrl: undefined,
        iconUrl: undefined,
        actions: [],
        expiresAtMs: 0n,
        ...content,
      },
      ...over,
    },
    { signal: new AbortController().signal, idempotencyKey: id },
  );
}
