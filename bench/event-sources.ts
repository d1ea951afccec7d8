import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { Service } from './processes.ts';

const usersPerCall = 1_000;
const agent = new http.Agent({ keepAlive: true });

/** One Notify to each of the first users of tenant `bench`, in calls of 1,000 at once. */
export async function notifyAll(service: Service, notificationId: string, users: number): Promise<void> {
  const calls: Promise<void>[] = [];
  for (let first = 0; first < users; first += usersPerCall)
    calls.push(
      notify(
        service,
        notificationId,
        Array.from({ length: Math.min(usersPerCall, users - first) }, (_, i) => `user-${first + i}`),
      ),
    );
  await Promise.all(calls);
}

export const notify = (
  service: Service,
  notificationId: string,
  userIds: string[],
  body = 'One event to everybody.',
): Promise<void> =>
  post(`${service.internal}/elloloop.notify.v1.NotificationInternalService/Notify`, {
    tenantId: 'bench',
    notificationId,
    userIds,
    title: notificationId,
    body,
  });

/** What is there before must not be replayed to the streams that are measured. */
export async function markAllRead(service: Service, users: number): Promise<void> {
  for (let first = 0; first < users; first += 100)
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

export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<void> {
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

/** Open EventSource streams. */
export interface Streams {
  /** Resolves when every stream has been sent the notification of this title. */
  expectAll(title: string): Promise<void>;
  close(): void;
}

/**
 * Opens a stream for each of the first users of tenant `bench`.
 * @param heard told of each notification's title
 */
export async function openStreams(
  service: Service,
  users: number,
  heard: (title: string) => void = () => {},
): Promise<Streams> {
  let expected = '';
  let missing = 0;
  let done = (): void => {};
  const requests: http.ClientRequest[] = [];
  const opened: Promise<unknown>[] = [];
  for (let i = 0; i < users; i += 1) {
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
            for (const [, title = ''] of text.matchAll(/"title":"([^"]*)"/g)) {
              heard(title);
              if (title !== expected) continue;
              missing -= 1;
              if (missing === 0) done();
            }
          });
        });
      }),
    );
    if (i % 250 === 249) await Promise.all(opened);
  }
  await Promise.all(opened);
  return {
    expectAll(title) {
      expected = title;
      missing = users;
      return new Promise((resolve) => {
        done = resolve;
      });
    },
    close() {
      for (const request of requests) request.destroy();
    },
  };
}

/** Resident memory of a process (proc(5), VmRSS). */
export function residentKiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** CPU time that a process has taken so far, in milliseconds (proc(5): hundredths of a second). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
