import { codes, DeliveryError } from '../../../src/core/channel.ts';
import type { Answer } from '../http/exchange.ts';
import { retryAfterMs } from '../http/retry-after.ts';
import type { Definition, Rule, Statuses, Where } from './definition.ts';

/** What became of a request. */
export type Judgement =
  | { readonly is: 'accepted'; readonly providerMessageId: string }
  /** The destination has another name now. */
  | { readonly is: 'moved'; readonly to: string }
  | { readonly is: 'refused'; readonly error: DeliveryError };

/** What judges an answer beside the definition. */
export interface Judge {
  /** The provider's name, for texts. */
  readonly name: string;
  readonly definition: Definition;
  /** Whether the destination is the URL that was asked: somebody else's server, which no operator can mend. */
  readonly isDestination: boolean;
}

/** Longer ones are none: who answers may be anybody. */
const longestId = 255;
/** Client errors that pass: too slow, a conflict, too early, too many (RFC 9110 §15.5, RFC 8470 §5.2, RFC 6585 §4). */
const passing = [408, 409, 425, 429];

/**
 * What an answer means, by the definition's rules: the first that matches, else whether it is a success, else what its status
 * means anywhere.
 *
 * | status | fixed URL | URL that is the destination |
 * |---|---|---|
 * | 408, 409, 425, 429, 5xx | waits | waits |
 * | 401 | credentials_rejected, waits | for good |
 * | 403, 404, 405, 3xx | provider_misconfigured, waits | for good |
 * | 410 | for good | destination_gone |
 * | other 4xx | for good | for good |
 */
export function judge({ name, definition, isDestination }: Judge, answer: Answer, nowMs: number): Judgement {
  const { status, body, isWhole } = answer;
  const json = jsonOf(body);
  const said = `${name} answered ${status}`;
  const pauseMs = secondsAt(json, definition.retryAfter?.path) ?? retryAfterMs(answer.headers, nowMs);
  const refused = (code: string, text: string, retryable: boolean): Judgement => ({
    is: 'refused',
    error: new DeliveryError(code, text, {
      retryable,
      ...(retryable && pauseMs !== undefined && { retryAfterMs: pauseMs }),
    }),
  });

  for (const rule of definition.errors) {
    const matched = matchOf(rule, answer, json);
    if (matched === undefined) continue;
    const why = [matched, rule.because].filter((part) => part !== undefined && part !== '').join(': ');
    const { code, retryable } = meaningOf(rule.is, status);
    return refused(code, why === '' ? said : `${said}: ${why}`, retryable);
  }

  if (isOneOf(definition.success.status, status)) {
    const where = definition.success.where ?? {};
    // what came only in part cannot say no: the status stands
    if (holds(where, json) !== undefined || (json === undefined && !isWhole))
      return { is: 'accepted', providerMessageId: idOf(definition, answer, json) };
    if (json === undefined) return refused(codes.misconfigured, `${said}, but not as this API does`, true);
    return refused(codes.messageRefused, `${said}, and that it is no success`, false);
  }

  const moved = definition.moved && valueAt(json, definition.moved.path);
  if (typeof moved === 'string' || typeof moved === 'number') return { is: 'moved', to: String(moved) };

  const ofHttp = `http_${status}`;
  if (passing.includes(status) || status >= 500) return refused(ofHttp, said, true);
  if (status < 300) return refused(codes.messageRefused, `${said}, which is no success`, false);
  const redirect = status < 400 ? '; redirects are not followed' : '';
  if (isDestination)
    return refused(status === 410 ? codes.destinationGone : ofHttp, `${said}${redirect}`, false);
  if (status === 401) return refused(codes.credentialsRejected, said, true);
  if (status < 406 && status !== 400 && status !== 402)
    return refused(codes.misconfigured, `${said}${redirect}`, true);
  return refused(ofHttp, said, false);
}

function meaningOf(kind: Rule['is'], status: number): { readonly code: string; readonly retryable: boolean } {
  switch (kind) {
    case 'dead':
      return { code: codes.destinationGone, retryable: false };
    case 'permanent':
      return { code: codes.messageRefused, retryable: false };
    case 'transient':
      return { code: status >= 400 ? `http_${status}` : 'provider_busy', retryable: true };
    case 'credentials':
      return { code: codes.credentialsRejected, retryable: true };
    case 'misconfigured':
      return { code: codes.misconfigured, retryable: true };
  }
}

/** What of a rule an answer matched, in the rule's own words; '' where that is its status; undefined where it did not match. */
function matchOf(rule: Rule, { status, body, isWhole }: Answer, json: unknown): string | undefined {
  if (rule.status !== undefined && !isOneOf(rule.status, status)) return undefined;
  const words: string[] = [];
  if (rule.text !== undefined) {
    const text = isWhole ? [rule.text].flat().find((one) => one === body.trim()) : undefined;
    if (text === undefined) return undefined;
    words.push(text);
  }
  if (rule.where !== undefined) {
    const found = holds(rule.where, json);
    if (found === undefined) return undefined;
    words.push(...found);
  }
  return words.join(', ');
}

/** What of each condition is so, in its own words; undefined where one of them is not. */
function holds(where: Where, json: unknown): string[] | undefined {
  const words: string[] = [];
  for (const [path, condition] of Object.entries(where)) {
    const value = valueAt(json, path);
    if (typeof condition === 'object' && condition !== null && !Array.isArray(condition)) {
      if (typeof value !== 'string' || !value.includes(condition.contains)) return undefined;
      words.push(condition.contains);
      continue;
    }
    const wanted = [condition].flat();
    // null is also what is not there
    if (!wanted.some((one) => one === (value ?? null))) return undefined;
    words.push(String(value ?? null));
  }
  return words;
}

function isOneOf(statuses: NonNullable<Statuses>, status: number): boolean {
  return [statuses].flat().some((one) => {
    const [from = '', to = from] = String(one).split('-');
    return status >= Number(from) && status <= Number(to);
  });
}

function idOf({ id }: Definition, { headers }: Answer, json: unknown): string {
  if (id === undefined) return '';
  const found = 'path' in id ? valueAt(json, id.path) : headers[id.header.toLowerCase()];
  if (typeof found !== 'string' && typeof found !== 'number') return '';
  const text = String(found);
  return text.length <= longestId && !/[\p{Cc}\p{Cs}]/u.test(text) ? text : '';
}

/** A number of seconds, in milliseconds, rounded up. The longest that is believed is a day. */
function secondsAt(json: unknown, path: string | undefined): number | undefined {
  const seconds = path === undefined ? undefined : valueAt(json, path);
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= 86_400)) return undefined;
  return Math.ceil(seconds * 1000);
}

function valueAt(json: unknown, path: string): unknown {
  let value = json;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/** A JSON value; undefined where the text is none. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
