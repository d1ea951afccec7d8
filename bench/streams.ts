import { readFileSync } from 'node:fs';
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { type Figure, median } from './figures.ts';
import { type Service, startService } from './processes.ts';

const streams = 5_000;
const usersPerCall = 1_000;
const rounds = 5;

/** EventSource streams of as many users: memory of each, and the time until one event has reached every one. */
export async function benchStreams(): Promise<Figure[]> {
  const service = await startService();
  try {
    await notifyAll(service, 'warm-up'); // code and rows are there before memory is measured
    await markAllDelivered(service);
    const before = residentKiB(service.pid);
    const open = await openStreams(service);
    await pause(1_000);
    const each = (residentKiB(service.pid) - before) / streams;
    const times: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const arrived = open.expectAll(`round-${round}`);
      const startedMs = performance.now();
      await notifyAll(service, `round-${round}`);
      await arrived;
      times.push(performance.now() - startedMs);
    }
    open.close();
    const ms = median(times.slice(1));
    return [
      {
        name: `memory of each of ${streams} EventSource streams`,
        value: `${each.toFixed(1)} KiB`,
        target: 'at most 15 KiB',
        met: each <= 15,
      },
      {
        name: `one event to each of ${streams} users in calls of ${usersPerCall}, until the last`,
        value: `${ms.toFixed(0)} ms`,
        target: 'at most 150 ms',
        met: ms <= 150,
      },
    ];
  } finally {
    await service.stop();
  }
}

const agent = new http.Agent({ keepAlive: true });

async function notifyAll(service: Service, notificationId: string): Promise<void> {
  const calls: Promise<void>[] = [];
  for (let first = 0; first < streams; first += usersPerCall)
    calls.push(
      post(`${service.internal}/elloloop.notify.v1.NotificationInternalService/Notify`, {
        tenantId: 'bench',
        notificationId,
        userIds: Array.from({ length: usersPerCall }, (_, i) => `user-${first + i}`),
        title: notificationId,
        body: 'One event to everybody.',
      }),
    );
  await Promise.all(calls);
}

/** What is there before must not be replayed to the streams that are measured. */
async function markAllDelivered(service: Service): Promise<void> {
  for (let first = 0; first < streams; first += 100)
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        post(
          `${service.client}/notify.v1.InboxService/MarkAllRead`,
          {},
          { authorization: `Bearer dev:user-${first + i}:bench` },
        ),
      ),
    );
}

function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      url,
      { agent, method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
      (response) => {
        response.resume();
        response.on('end', () =>
          response.statusCode === 200
            ? resolve()
            : reject(new Error(`${url} answered ${response.statusCode}`)),
        );
      },
    );
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

async function openStreams(service: Service) {
  let expected = '';
  let missing = 0;
  let done = (): void => {};
  const requests: http.ClientRequest[] = [];
  const opened: Promise<unknown>[] = [];
  for (let i = 0; i < streams; i += 1) {
    const request = http.get(`${service.client}/v1/events?access_token=dev:user-${i}:bench`, {
      agent: false,
    });
    requests.push(request);
    request.on('error', () => {});
    opened.push(
      new Promise<void>((resolve) => {
        request.on('response', (response) => {
          response.setEncoding('latin1');
          response.on('data', (text: string) => {
            if (text.includes('event: inbox')) resolve();
            if (expected === '' || !text.includes(expected)) return;
            missing -= 1;
            if (missing === 0) done();
          });
        });
      }),
    );
    if (i % 250 === 249) await Promise.all(opened);
  }
  await Promise.all(opened);
  return {
    /** Resolves when every stream has been sent the notification of this title. */
    expectAll(title: string): Promise<void> {
      expected = `"title":"${title}"`;
      missing = streams;
      return new Promise((resolve) => {
        done = resolve;
      });
    },
    close(): void {
      for (const request of requests) request.destroy();
    },
  };
}

/** Resident memory of a process (proc(5), VmRSS). */
function residentKiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
