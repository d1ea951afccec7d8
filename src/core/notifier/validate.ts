import type { Violation } from '../errors.ts';
import type { CancelCommand, DataChangeCommand, NotifyCommand } from './command.ts';

const KiB = 1024;

/** The sizes this service takes, in bytes of UTF-8 unless named otherwise. */
export const limits = {
  /** tenant_id, notification_id, user ids, type, subject_ref, subject_type, idempotency keys. */
  idBytes: 1 * KiB,
  titleBytes: 16 * KiB,
  /** A title over its bytes is still taken up to this many characters, which the public contract promises in any script. */
  titleCharacters: 10_000,
  bodyBytes: 1024 * KiB,
  /** `data` as JSON text. */
  dataBytes: 64 * KiB,
  urlBytes: 4 * KiB,
  /** One destination; a PushSubscription is the longest. */
  addressBytes: 8 * KiB,
  labelBytes: 256,
  actions: 10,
  usersPerCall: 10_000,
  requestsPerBatch: 1_000,
  recipientsPerCall: 1_000,
} as const;

/** Collects what is wrong with a request, by field path. */
export class Violations {
  readonly found: Violation[] = [];

  add(field: string, description: string): void {
    this.found.push({ field, description });
  }

  /** Something must be named; what it is matters elsewhere. */
  present(field: string, value: string): void {
    if (value.trim() === '') this.add(field, 'must not be blank');
  }

  /**
   * A text must be valid Unicode without NUL, which Postgres cannot hold, and fit its limit.
   * @param required refuses blank texts
   */
  text(field: string, value: string, maxBytes: number, required = false): void {
    const wrong = wrongText(value, maxBytes, required);
    if (wrong !== undefined) this.add(field, wrong);
  }

  /** A link that a client will open: web, an app's own scheme, or a path of the same site. Scripts are none. */
  link(field: string, value: string): void {
    const before = this.found.length;
    this.text(field, value, limits.urlBytes);
    if (this.found.length > before || value === '') return;
    // browsers drop control characters and leading spaces before they look for the scheme (WHATWG URL §4.4)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be refused
    if (/[\u0000-\u0020]/.test(value)) this.add(field, 'must not contain spaces or control characters');
    else if (/^(javascript|data|vbscript|blob|file):/i.test(value))
      this.add(field, 'must be an https, http or app link, or a path');
    else if (!/^([a-z][a-z0-9+.-]*:|\/|\?|#)/i.test(value))
      this.add(field, 'must be an absolute link, or a path that begins with /');
  }
}

function wrongText(value: string, maxBytes: number, required: boolean): string | undefined {
  if (required && value.trim() === '') return 'must not be blank';
  // a UTF-16 code unit takes at most three bytes of UTF-8: most texts need no counting
  if (value.length * 3 > maxBytes && Buffer.byteLength(value) > maxBytes)
    return `must be at most ${maxBytes.toLocaleString('en')} bytes of UTF-8`;
  if (value.includes('\0')) return 'must not contain NUL (U+0000)';
  return value.isWellFormed() ? undefined : 'must be valid Unicode, without lone surrogates';
}

/** Everything that is wrong with a call, by the wire's field paths. Empty: it may go on. */
export function validateNotify(command: NotifyCommand): Violation[] {
  const v = new Violations();
  const { content } = command;
  v.text('tenant_id', command.tenantId, limits.idBytes, true);
  v.text('notification_id', content.notificationId, limits.idBytes, true);
  validateUsers(v, command.userIds);
  v.text('type', content.type, limits.idBytes);
  v.text('subject_ref', content.subjectRef, limits.idBytes);
  v.text('subject_type', content.subjectType, limits.idBytes);
  validateTitle(v, content.title);
  v.text('body', content.body, limits.bodyBytes);
  if (content.data !== undefined) validateData(v, content.data);
  if (content.actionUrl !== undefined) v.link('action_url', content.actionUrl);
  if (content.iconUrl !== undefined) v.link('icon_url', content.iconUrl);
  if (content.actions.length > limits.actions) v.add('actions', `must be at most ${limits.actions}`);
  content.actions.slice(0, limits.actions).forEach((action, i) => {
    v.text(`actions[${i}].label`, action.label, limits.labelBytes, true);
    if (action.url === '') v.add(`actions[${i}].url`, 'must not be blank');
    else v.link(`actions[${i}].url`, action.url);
  });
  validateTimes(v, command);
  for (const [userId, byChannel] of command.addresses) {
    v.text('addresses', userId, limits.idBytes);
    for (const [channel, address] of Object.entries(byChannel))
      v.text(`addresses.${channel}`, address, limits.addressBytes);
  }
  return v.found;
}

/** Years that a Date has, in epoch milliseconds (ECMA-262 §21.4.1.1). */
const latestMs = 8_640_000_000_000_000n;
/** 1973, in milliseconds; in seconds a time beyond the year 5000. */
const earliestPlausibleMs = 100_000_000_000n;
const inSeconds = 'must be milliseconds; this looks like seconds';

function validateTimes(v: Violations, { content: { expiresAtMs }, sendAtMs }: NotifyCommand): void {
  if (expiresAtMs < 0n) v.add('expires_at_ms', 'must be UTC epoch milliseconds, or 0 for never');
  // it would be over since 1970, and suppress the notification without a word
  else if (expiresAtMs > 0n && expiresAtMs < earliestPlausibleMs) v.add('expires_at_ms', inSeconds);
  if (sendAtMs < 0n || sendAtMs > latestMs)
    v.add('send_at_ms', 'must be UTC epoch milliseconds, or 0 for at once');
  else if (sendAtMs > 0n && sendAtMs < earliestPlausibleMs) v.add('send_at_ms', inSeconds);
  else if (sendAtMs > 0n && expiresAtMs > 0n && expiresAtMs <= sendAtMs)
    v.add('expires_at_ms', 'must be later than send_at_ms');
}

/** Everything that is wrong with a cancellation. */
export function validateCancel(command: CancelCommand): Violation[] {
  const v = new Violations();
  v.text('tenant_id', command.tenantId, limits.idBytes, true);
  v.text('notification_id', command.notificationId, limits.idBytes, true);
  if (command.userIds.length > 0) validateUsers(v, command.userIds);
  return v.found;
}

/** Everything that is wrong with a data-change hint. */
export function validateDataChange(command: DataChangeCommand): Violation[] {
  const v = new Violations();
  v.text('tenant_id', command.tenantId, limits.idBytes, true);
  validateUsers(v, command.userIds);
  v.text('idempotency_key', command.idempotencyKey, limits.idBytes, true);
  v.text('subject_ref', command.subjectRef, limits.idBytes);
  v.text('subject_type', command.subjectType, limits.idBytes);
  return v.found;
}

/** A title's limit is in bytes or in characters, whichever takes it. */
export function validateTitle(v: Violations, title: string): void {
  const { titleCharacters, titleBytes } = limits;
  const isLong =
    title.length > titleCharacters &&
    [...title].length > titleCharacters &&
    Buffer.byteLength(title) > titleBytes;
  if (isLong)
    v.add(
      'title',
      `must be at most ${titleCharacters.toLocaleString('en')} characters, or ${titleBytes.toLocaleString('en')} bytes of UTF-8`,
    );
  else v.text('title', title, Number.POSITIVE_INFINITY);
}

function validateUsers(v: Violations, userIds: readonly string[]): void {
  if (userIds.length === 0) v.add('user_ids', 'must name at least one user');
  if (userIds.length > limits.usersPerCall) {
    v.add('user_ids', `must be at most ${limits.usersPerCall.toLocaleString('en')} a call; split the call`);
    return;
  }
  for (let i = 0; i < userIds.length; i++) {
    const wrong = wrongText(userIds[i] ?? '', limits.idBytes, true);
    if (wrong !== undefined) v.add(`user_ids[${i}]`, wrong);
  }
}

/** A JSON object as text, as decoded requests are written. */
export function validateData(v: Violations, data: string, field = 'data'): void {
  v.text(field, data, limits.dataBytes);
  // in JSON text a NUL stands as an escape, after an even number of backslashes
  if (/(?<!\\)(?:\\\\)*\\u0000/.test(data)) v.add(field, 'must not contain NUL (U+0000)');
  if (/(?<!\\)(?:\\\\)*\\ud[89a-f]/i.test(data))
    v.add(field, 'must be valid Unicode, without lone surrogates');
}
