import type { TestContext } from 'node:test';
import type { Overrides } from '../../src/app.ts';
import type { FakeClock } from './ambient.ts';
import { as, build, call, procedures, type Service } from './build.ts';
import { openEvents, type SseRequest, type SseStream } from './sse.ts';

/** What a test may say of a notification; the rest does not matter. */
export interface Draft {
  readonly tenant?: string;
  readonly id?: string;
  readonly title?: string;
  readonly body?: string;
}

/** The service with the calls that tests of streams make. */
export interface StreamService extends Service {
  /** Sends an in-app notification to a user of tenant `demo`. @returns the answer's counts */
  notify(user: string, draft?: Draft): Promise<{ delivered: number; pending: number; failed: number }>;
  /** Publishes a data-change hint. @returns how many sessions it went to */
  publishHint(user: string, key: string): Promise<number>;
  /** Opens GET /v1/events as a user of tenant `demo`. It is closed with the test. */
  open(user: string, request?: SseRequest): Promise<SseStream>;
  /** Opens it exactly as the request says. */
  openAs(request: SseRequest): Promise<SseStream>;
  /** Calls a method of NotificationClientService or InboxService as a user of tenant `demo`. */
  as(user: string, method: string, body: unknown): Promise<Record<string, unknown>>;
  /** Runs when the test ends, before the service closes: connections that would hold it up. */
  closeFirst(task: () => void): void;
  /** A metric's value as GET /metrics tells it, summed over the labels that are not named. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

const clientMethods = ['GetNotifications', 'AckNotification', 'AckDataChange', 'RegisterPushToken'];

/** A machine that is busy with other tests must not make this one answer that it is overloaded. */
const noPressure = { maxEventLoopDelayMs: 0, sampleIntervalMs: 1_000 };

/** Builds the service for a test of streams: what the test opened is closed first, then the service. */
export async function serve(
  t: Pick<TestContext, 'after'>,
  env: Readonly<Record<string, string>> = {},
  overrides: Overrides = {},
): Promise<StreamService> {
  const first: (() => void)[] = [];
  let close = async (): Promise<void> => {};
  t.after(async () => {
    for (const task of first) task();
    const closing = close();
    // a clock that the test holds has to move on, or what waits for it waits for ever
    const clock = overrides.ambient?.clock;
    if (isFake(clock)) await untilSettled(closing, () => clock.advance(1_000));
    await closing;
  });
  let count = 0;
  const service = await build(
    {
      after: (task) => {
        close = async () => {
          await (task as () => Promise<void>)();
        };
      },
    },
    env,
    { pressure: noPressure, ...overrides },
  );
  const openAs = async (request: SseRequest): Promise<SseStream> => {
    const stream = await openEvents(service.url.client, request);
    first.push(stream.close);
    return stream;
  };
  return Object.assign(service, {
    openAs,
    closeFirst: (task: () => void) => void first.push(task),
    open: (user: string, request: SseRequest = {}) =>
      openAs({ ...request, headers: { ...as(user), ...request.headers } }),
    async notify(user: string, { tenant = 'demo', id, title = 'title', body = '' }: Draft = {}) {
      count += 1;
      const answer = await call(service.url.internal, procedures.notify, {
        tenantId: tenant,
        notificationId: id ?? `n-${count}`,
        userIds: [user],
        title,
        body,
      });
      if (answer.status !== 200) throw new Error(`Notify answered ${JSON.stringify(answer.body)}`);
      return answer.body as { delivered: number; pending: number; failed: number };
    },
    async publishHint(user: string, key: string) {
      const answer = await call(service.url.internal, 'notify.v1.ProducerService/PublishDataChange', {
        tenantId: 'demo',
        userIds: [user],
        idempotencyKey: key,
        subjectRef: '42',
        subjectType: 'order',
      });
      return Number(answer.body.sessions);
    },
    async as(user: string, method: string, body: unknown) {
      const isClient = clientMethods.includes(method);
      const service_ = isClient ? 'elloloop.notify.v1.NotificationClientService' : 'notify.v1.InboxService';
      const answer = await call(service.url.client, `${service_}/${method}`, body, as(user));
      if (answer.status !== 200) throw new Error(`${method} answered ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    async metric(name: string, labels: Readonly<Record<string, string>> = {}) {
      const text = await (await fetch(`${service.url.ops}/metrics`)).text();
      return metricIn(text, name, labels);
    },
  });
}

/** A metric's value in Prometheus text, summed over the labels that are not named; 0 where it has none. */
export function metricIn(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    const [, found, inside = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const isMeant = Object.entries(labels).every(([label, word]) => inside.includes(`${label}="${word}"`));
    if (found === name && isMeant) sum += Number(value);
  }
  return sum;
}

const isFake = (clock: unknown): clock is FakeClock =>
  typeof clock === 'object' && clock !== null && 'advance' in clock;

async function untilSettled(work: Promise<unknown>, step: () => Promise<void>): Promise<void> {
  let isSettled = false;
  const settle = () => {
    isSettled = true;
  };
  work.then(settle, settle);
  while (!isSettled) await step();
}
