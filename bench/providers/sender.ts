/** The service without its ports, on the memory store, as far as deliveries go: its dispatcher, its providers. One process. */
import { setTimeout as pause } from 'node:timers/promises';
import { buildApp, built } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';
import type { Channel } from '../../src/core/glossary.ts';
import type { NewNotification } from '../../src/core/store.ts';
import { percentile } from '../figures.ts';
import type { Order, Report } from './messages.ts';

const { core } = await buildApp(parseConfig(process.env, built));
const mib = 2 ** 20;
const batch = 1_000;
let users = 0;

/** What a channel's provider did since an order began. */
interface Work {
  done: number;
  readonly durationsMs: number[];
  firstAtMs: number;
  lastAtMs: number;
}

const works = new Map<Channel, Work>();
for (const [channel, [provider]] of core.providers) {
  if (provider === undefined) continue;
  const send = provider.send.bind(provider);
  provider.send = async (message, options) => {
    const startedAtMs = performance.now();
    const work = works.get(channel);
    if (work?.firstAtMs === 0) work.firstAtMs = startedAtMs;
    const receipt = await send(message, options);
    if (work !== undefined) {
      work.done += 1;
      work.lastAtMs = performance.now();
      work.durationsMs.push(work.lastAtMs - startedAtMs);
    }
    return receipt;
  };
}

async function run(orders: readonly Order[]): Promise<Report> {
  works.clear();
  for (const { channel, isMeasured } of orders)
    if (isMeasured) works.set(channel, { done: 0, durationsMs: [], firstAtMs: 0, lastAtMs: 0 });
  for (const order of orders) await store(order);
  core.dispatcher.wake();
  let rss = 0;
  const isDone = () =>
    orders.every(({ channel, count, isMeasured }) => !isMeasured || works.get(channel)?.done === count);
  while (!isDone()) {
    rss = Math.max(rss, process.memoryUsage.rss());
    await pause(20);
  }
  const sent = [...works].map(([channel, { done, durationsMs, firstAtMs, lastAtMs }]) => ({
    channel,
    perSecond: (done * 1_000) / (lastAtMs - firstAtMs),
    p99Ms: percentile(durationsMs, 0.99),
  }));
  return { sent, rssMib: rss / mib };
}

/** Stores what an order is to send, due at once for the dispatcher. */
async function store({ channel, count, destinations }: Order): Promise<void> {
  const [provider] = core.providers.get(channel) ?? [];
  if (provider === undefined) throw new Error(`no provider for ${channel}`);
  for (let from = 0; from < count; from += batch) {
    const rows = Array.from({ length: Math.min(batch, count - from) }, (_, i): NewNotification => {
      users += 1;
      return {
        tenantId: 'bench',
        userId: `user-${users}`,
        id: core.ambient.ids.next(),
        content,
        createdAtMs: BigInt(core.ambient.clock.now()),
        appearsAtMs: 0n,
        deliveries: [
          {
            id: core.ambient.ids.next(),
            channel,
            destination: destinations[(from + i) % destinations.length] ?? '',
            provider: provider.name,
            status: 'pending',
            reason: '',
          },
        ],
      };
    });
    await core.store.createNotifications(rows);
  }
}

const content: NewNotification['content'] = {
  notificationId: 'bench',
  type: 'order.shipped',
  subjectRef: 'order/42',
  subjectType: 'order',
  title: 'Your order has shipped',
  body: 'It left our warehouse this morning and arrives tomorrow before noon. '.repeat(8),
  urgency: undefined,
  data: '{"order":"42","carrier":"post"}',
  actionUrl: 'https://shop.example.org/orders/42',
  iconUrl: undefined,
  actions: [],
  expiresAtMs: 0n,
};

process.on('message', (orders: readonly Order[]) => {
  void run(orders).then((report) => process.send?.(report));
});
// what hangs would hold up a stop
process.on('disconnect', () => process.exit());
process.send?.('ready');
