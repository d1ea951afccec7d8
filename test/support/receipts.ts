import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Overrides } from '../../src/app.ts';
import type { Channel } from '../../src/core/glossary.ts';
import { build, call, procedures, type Service } from './build.ts';
import { type LogFile, logFile } from './log.ts';
import { metricIn } from './serve.ts';

/** GetDelivery's answer, as far as receipts show in it. */
export interface ShownDelivery {
  readonly id: string;
  readonly itemId: string;
  readonly status: string;
  readonly reason: string;
  readonly attemptCount: number;
  readonly openedAtMs: string;
  readonly clickedAtMs: string;
  readonly ackAtMs: string;
  readonly attempts: readonly { readonly detail: string; readonly status: string }[];
  readonly receipts: readonly {
    readonly atMs: string;
    readonly provider: string;
    readonly kind: string;
    readonly reason: string;
    readonly detail: string;
  }[];
}

/** A service that gets receipts. */
export interface ReceiptBench {
  readonly service: Service;
  readonly log: LogFile;
  /** Sends a notification to alice on a channel. @returns its delivery */
  send(channel: Channel, address: string, over?: Record<string, unknown>): Promise<ShownDelivery>;
  delivery(id: string): Promise<ShownDelivery>;
  /** Posts to port 8080, as a provider does. @param target path and query */
  post(
    target: string,
    headers: Readonly<Record<string, string>>,
    body: string,
  ): Promise<{ readonly status: number; readonly code: unknown; readonly message: unknown }>;
  /** Why an address is marked as dead. */
  dead(channel: Channel, address: string): Promise<string | undefined>;
  /** notify_receipts_total. */
  counted(provider: string, kind: string): Promise<number>;
}

export async function receiptBench(
  t: TestContext,
  env: Readonly<Record<string, string>>,
  overrides: Overrides = {},
): Promise<ReceiptBench> {
  const log = logFile(t);
  const service = await build(t as never, env, { logger: log.logger, ...overrides });
  const produce = async (method: string, request: object) => {
    const { status, body } = await call(service.url.internal, method, { tenantId: tenant, ...request });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  let count = 0;
  const delivery = async (id: string) => {
    const answer = await produce('notify.v1.DeliveryService/GetDelivery', { id });
    return answer.delivery as ShownDelivery;
  };
  return {
    service,
    log,
    delivery,
    async send(channel, address, over = {}) {
      const notificationId = `note-${++count}`;
      await produce(procedures.notify, {
        notificationId,
        userIds: ['alice'],
        title: 'Your order',
        body: 'is on its way',
        channels: [`DELIVERY_CHANNEL_${channel.toUpperCase()}`],
        addresses: { alice: { byChannel: { [channel]: address } } },
        ...over,
      });
      const { deliveries } = await produce('notify.v1.DeliveryService/ListDeliveries', { notificationId });
      return delivery((deliveries as ShownDelivery[])[0]?.id ?? '');
    },
    async post(target, headers, body) {
      const response = await fetch(`${service.url.client}${target}`, { method: 'POST', headers, body });
      const text = await response.text();
      const { code, message } = text === '' ? {} : JSON.parse(text);
      return { status: response.status, code, message };
    },
    async dead(channel, address) {
      const [reason] = await service.core.store.deadAddresses([{ tenantId: tenant, channel, address }]);
      return reason;
    },
    async counted(provider, kind) {
      const text = await (await fetch(`${service.url.ops}/metrics`)).text();
      return metricIn(text, 'notify_receipts_total', { provider, kind });
    },
  };
}

/** With what URLs escape, and what tags may not hold. */
export const tenant = 'açme & söhne/1';
