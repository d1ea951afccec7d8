import { token } from './identity.js';

export const requestTimeoutMs = 15_000;

export class CallError extends Error {
  constructor(code, message, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export function describe(error) {
  if (error.code === 'unreachable') return 'The server cannot be reached.';
  if (error.code === 'unauthenticated')
    return `The server does not accept the token ${token} (${error.message}). Dev tokens need NOTIFY_AUTH_DEV_MODE=true and no NOTIFY_AUTH_JWT_SECRET.`;
  return `${error.code}: ${error.message}`;
}

/** What went wrong, from an answer that is not 200. */
export async function errorOf(response) {
  let answer;
  try {
    answer = await response.json();
  } catch {
    // not from notify: a proxy, for example
  }
  return new CallError(
    answer?.code ?? `http_${response.status}`,
    answer?.message ?? `The server answered ${response.status} ${response.statusText}.`.replace(' .', '.'),
    response.status,
  );
}

export const post = (path, body, headers) => ask('POST', path, body, headers);

/** @param body none where it is undefined */
export async function ask(method, path, body, headers) {
  let response;
  try {
    response = await fetch(path, {
      method,
      ...(body !== undefined && {
        headers: { 'Content-Type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
      cache: 'no-store',
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    if (response.status === 204) return undefined;
    if (response.ok) return await response.json();
  } catch (error) {
    if (error.name === 'TimeoutError')
      throw new CallError(
        'timeout',
        `No answer in ${requestTimeoutMs / 1000} s. A browser opens six HTTP/1.1 connections to one host, and each playground tab holds one: are there that many?`,
      );
    if (error instanceof SyntaxError) throw new CallError('unexpected', 'The answer is not JSON.');
    throw new CallError('unreachable', 'The server cannot be reached.');
  }
  throw await errorOf(response);
}

export const clientService = 'elloloop.notify.v1.NotificationClientService';
export const inboxService = 'notify.v1.InboxService';

/** The methods that the page calls, by what they do. */
export const methods = {
  notify: 'elloloop.notify.v1.NotificationInternalService/Notify',
  list: `${clientService}/GetNotifications`,
  read: `${clientService}/AckNotification`,
  unread: `${inboxService}/MarkUnread`,
  archive: `${inboxService}/Archive`,
  unarchive: `${inboxService}/Unarchive`,
  delete: `${inboxService}/DeleteNotification`,
  readAll: `${inboxService}/MarkAllRead`,
  hint: `${clientService}/AckDataChange`,
};

export const call = (method, body) => post(`/${method}`, body, { Authorization: `Bearer ${token}` });
