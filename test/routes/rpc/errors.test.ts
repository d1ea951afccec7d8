import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  type DescMethod,
  fromBinary,
  fromJson,
  fromJsonString,
  type JsonObject,
  toBinary,
} from '@bufbuild/protobuf';
import {
  NotificationClientService,
  NotificationInternalService,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { InboxService } from '../../../proto/gen/notify/v1/inbox_pb.ts';
import { ProducerService } from '../../../proto/gen/notify/v1/producer_pb.ts';
import type { Overrides } from '../../../src/app.ts';
import { as, build, call, procedures, type Service } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { jwt } from '../../support/jwt.ts';
import { logFile } from '../../support/log.ts';
import {
  type Answer,
  type Dialect,
  dialects,
  envelope,
  post,
  request1,
  request2,
  speak,
  streamDialects,
} from '../../support/wire.ts';

// the tests themselves keep the event loop busy
const calm: Overrides = { pressure: { maxEventLoopDelayMs: 60_000, sampleIntervalMs: 1_000 } };
const service = await build({ after }, {}, calm);

const { notify } = NotificationInternalService.method;
const { getNotifications, ackNotification, registerPushToken, streamEvents } =
  NotificationClientService.method;
const { notifyBatch, publishDataChange } = ProducerService.method;

/** The HTTP status of each code in Connect's unary protocol. */
const httpStatus: Readonly<Record<string, number>> = {
  invalid_argument: 400,
  unauthenticated: 401,
  not_found: 404,
  resource_exhausted: 429,
  internal: 500,
  unimplemented: 501,
  unavailable: 503,
  deadline_exceeded: 504,
};

/** What is refused, and how. */
interface Case {
  /** Continues "refuses". */
  readonly name: string;
  readonly method?: DescMethod;
  /** As protobuf JSON; each dialect encodes it in its own way. */
  readonly request?: JsonObject;
  /** The body of JSON dialects; without `request` the others are left out. */
  readonly json?: string | Buffer;
  /** The body of binary dialects; likewise. */
  readonly binary?: Buffer;
  readonly headers?: Record<string, string>;
  readonly gzip?: boolean;
  readonly only?: (dialect: Dialect) => boolean;
  readonly at?: Service;
  readonly code?: string;
  readonly message: string | RegExp;
  /** Must not be anywhere in the answer. */
  readonly secret?: string;
}

const isConnect = ({ kind }: Dialect) => kind.startsWith('connect');
const isGrpc = (dialect: Dialect) => !isConnect(dialect);

/** A complete request, with changes. */
const complete = (changes: JsonObject = {}): JsonObject => ({
  tenantId: 'demo',
  notificationId: 'n-1',
  userIds: ['alice'],
  ...changes,
});

const text = (value: unknown): string => JSON.stringify(value);

/** A case's body in one dialect; undefined where it cannot be said in it. */
function bodyOf({ method = notify, request, json, binary }: Case, { isJson }: Dialect): Buffer | undefined {
  const given = isJson ? json : binary;
  if (given !== undefined) return Buffer.from(given);
  if (request === undefined) return undefined;
  return Buffer.from(isJson ? text(request) : toBinary(method.input, fromJson(method.input, request)));
}

function baseOf({ method = notify, at = service }: Case): string {
  const internal = [NotificationInternalService, ProducerService].some((s) => s === method.parent);
  return internal ? at.url.internal : at.url.client;
}

/** Says one case in every dialect that can, and holds the answers against it. */
async function isRefused(given: Case, spoken: readonly Dialect[] = dialects): Promise<void> {
  const { method = notify, code = 'invalid_argument', headers = as('alice') } = given;
  let asked = 0;
  for (const dialect of spoken) {
    const body = bodyOf(given, dialect);
    if (body === undefined || given.only?.(dialect) === false) continue;
    asked += 1;
    const procedure = `${method.parent.typeName}/${method.name}`;
    const options = { headers, ...(given.gzip && { gzip: true }) };
    const answer = await speak(dialect, baseOf(given), procedure, body, options);
    isError(answer, dialect, code, given.message);
    if (given.secret)
      assert.ok(!everything(answer).includes(given.secret), `${dialect.name} quotes the input`);
  }
  assert.ok(asked > 0, 'the case was said in no dialect');
}

function isError(answer: Answer, dialect: Dialect, code: string, message: string | RegExp): void {
  const where = `over ${dialect.name}`;
  assert.ok(answer.error, `succeeded ${where}: ${answer.message}`);
  assert.equal(`${answer.error.code}: ${where}`, `${code}: ${where}`);
  if (typeof message === 'string') assert.equal(answer.error.message, message, where);
  else assert.match(answer.error.message, message, where);

  const { violations, retryAfter } = answer.error;
  if (violations.length > 0) {
    const named = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
    assert.ok(answer.error.message.startsWith(named), `message and details differ ${where}`);
  }
  const comesBack = code === 'resource_exhausted' || code === 'unavailable';
  assert.equal(retryAfter !== undefined, comesBack, `retry-after is ${retryAfter} ${where}`);
  if (comesBack) assert.match(String(retryAfter), /^[1-9]\d*$/);
  assert.match(answer.headers['x-request-id'] ?? '', /./, `no x-request-id ${where}`);
  assert.equal(answer.status, dialect.kind === 'connect' ? httpStatus[code] : 200, where);
  const { contentType } = dialect; // application/grpc is short for application/grpc+proto
  const types = contentType === 'application/grpc' ? [contentType, `${contentType}+proto`] : [contentType];
  if (dialect.kind === 'connect') types[0] = 'application/json';
  assert.ok(
    types.includes(answer.headers['content-type'] ?? ''),
    `${answer.headers['content-type']} ${where}`,
  );
}

const everything = ({ headers, trailers, body }: Answer): string =>
  `${text([headers, trailers])}${body}${decodeURIComponent(trailers['grpc-message'] ?? '')}`;

function table(title: string, cases: readonly Case[], spoken: readonly Dialect[] = dialects): void {
  describe(title, () => {
    for (const given of cases) it(`refuses ${given.name}`, () => isRefused(given, spoken));
  });
}

const blank = 'must not be blank';
const nul = 'must not contain NUL (U+0000)';
const malformed = (line: number, column: number) =>
  `the body is not valid JSON at line ${line}, column ${column}`;
const notBinary = (type: string) =>
  `the message is not a valid ${type}: truncated, not protobuf, or with text that is not UTF-8`;
const tooLarge = 'the request is larger than 4 MiB; split it into several calls';
const channels = ['IN_APP', 'EMAIL', 'WEB_PUSH', 'MOBILE_PUSH', 'SMS', 'WHATSAPP', 'WEBHOOK', 'CHAT']
  .map((name) => `DELIVERY_CHANNEL_${name}`)
  .join(', ');

table('a Notify call, in every protocol,', [
  { name: 'no tenant_id', request: complete({ tenantId: '' }), message: `tenant_id: ${blank}` },
  { name: 'a blank tenant_id', request: complete({ tenantId: ' \t' }), message: `tenant_id: ${blank}` },
  {
    name: 'no notification_id',
    request: complete({ notificationId: '' }),
    message: `notification_id: ${blank}`,
  },
  {
    name: 'a blank notification_id',
    request: complete({ notificationId: '\n' }),
    message: `notification_id: ${blank}`,
  },
  { name: 'no users', request: complete({ userIds: [] }), message: 'user_ids: must name at least one user' },
  {
    name: 'a blank user id',
    request: complete({ userIds: ['alice', '', ' '] }),
    message: `user_ids[1]: ${blank}; user_ids[2]: ${blank}`,
  },
  {
    name: 'everything that is wrong at once, each by its path',
    request: {
      userIds: ['alice', ' '],
      channels: ['DELIVERY_CHANNEL_UNSPECIFIED'],
      template: 'welcome',
      title: 'a\0b',
      actionUrl: 'javascript:alert(1)',
      actions: [{ label: '', url: '' }],
    },
    message:
      'channels[0]: must name a channel; leave channels empty for all that have a provider and a destination; ' +
      'template: is not supported by this version; leave it out; ' +
      `tenant_id: ${blank}; notification_id: ${blank}; user_ids[1]: ${blank}; title: ${nul}; ` +
      'action_url: must be an https, http or app link, or a path; ' +
      `actions[0].label: ${blank}; actions[0].url: ${blank}`,
  },
  {
    name: 'an empty request',
    request: {},
    message: `tenant_id: ${blank}; notification_id: ${blank}; user_ids: must name at least one user`,
  },
  {
    name: 'UNSPECIFIED among the channels',
    request: complete({ channels: [1, 0] }),
    message: /^channels\[1\]: must name a channel;/,
  },
  {
    name: 'an unknown channel number',
    request: complete({ channels: [2, 77] }),
    message: `channels[1]: must be one of ${channels}`,
  },
  {
    name: 'an unknown channel name',
    json: text(complete({ channels: ['DELIVERY_CHANNEL_EMIAL', 'EMAIL'] })),
    message: `channels[0]: must be one of ${channels}; channels[1]: must be one of ${channels}`,
  },
  {
    name: 'a channel number in quotes, which would be dropped as unknown',
    json: text(complete({ channels: ['2'] })),
    message: `channels[0]: must be one of ${channels}`,
  },
  {
    name: 'a channel that is no integer',
    json: text(complete({ channels: [1.5] })),
    message: `channels[0]: must be one of ${channels}`,
  },
  {
    name: 'an unknown urgency',
    request: complete({ urgency: 9 }),
    message: 'urgency: must be one of URGENCY_LOW, URGENCY_NORMAL, URGENCY_HIGH, URGENCY_CRITICAL',
  },
  {
    name: 'an unknown urgency by name',
    json: text(complete({ urgency: 'HIGH' })),
    message: /^urgency: must be one of URGENCY_LOW,/,
  },
  {
    name: '10,001 users',
    request: complete({ userIds: Array.from({ length: 10_001 }, (_, i) => `u${i}`) }),
    message: 'user_ids: must be at most 10,000 a call; split the call',
  },
  {
    name: 'a negative expiry',
    request: complete({ expiresAtMs: '-1' }),
    message: 'expires_at_ms: must be UTC epoch milliseconds, or 0 for never',
  },
  {
    name: 'an expiry in seconds, which would suppress what it is about',
    request: complete({ expiresAtMs: '4102444800' }),
    message: 'expires_at_ms: must be milliseconds; this looks like seconds',
  },
  {
    name: 'a title over both of its limits',
    request: complete({ title: '🔔'.repeat(10_001) }),
    message: 'title: must be at most 10,000 characters, or 16,384 bytes of UTF-8',
  },
  {
    name: 'an unknown channel and a blank tenant together',
    request: complete({ tenantId: '', channels: [77] }),
    message: `channels[0]: must be one of ${channels}; tenant_id: ${blank}`,
  },
  {
    name: 'ten thousand blank users with a short message',
    request: complete({ userIds: Array.from({ length: 10_000 }, () => '') }),
    message: /^user_ids\[0\]: must not be blank; .{500,2000}; and 99\d\d more$/,
  },
]);

const oversize = (bytes: string) => `must be at most ${bytes} bytes of UTF-8`;
table('a text that is too long, in every protocol,', [
  ...(['tenantId', 'notificationId', 'subjectRef'] as const).map((field) => ({
    name: `${field} of 1,025 bytes`,
    request: complete({ [field]: 'x'.repeat(1_025) }),
    message: `${snake(field)}: ${oversize('1,024')}`,
  })),
  {
    name: 'a user id of 342 characters in 1,026 bytes',
    request: complete({ userIds: ['漢'.repeat(342)] }),
    message: `user_ids[0]: ${oversize('1,024')}`,
  },
  {
    name: 'a type of 1,025 bytes',
    request: complete({ type: 'x'.repeat(1_025) }),
    message: `type: ${oversize('1,024')}`,
  },
  {
    name: 'a body over 1 MiB',
    request: complete({ body: 'x'.repeat(2 ** 20 + 1) }),
    message: `body: ${oversize('1,048,576')}`,
  },
  {
    name: 'data over 64 KiB',
    request: complete({ data: { a: 'x'.repeat(65_529) } }),
    message: `data: ${oversize('65,536')}`,
  },
  {
    name: 'a link over 4 KiB',
    request: complete({ actionUrl: `/${'x'.repeat(4_096)}` }),
    message: `action_url: ${oversize('4,096')}`,
  },
  {
    name: 'an address over 8 KiB',
    request: complete({ addresses: { alice: { byChannel: { email: 'x'.repeat(8_193) } } } }),
    message: `addresses.email: ${oversize('8,192')}`,
  },
  {
    name: 'a label over 256 bytes',
    request: complete({ actions: [{ label: 'x'.repeat(257), url: '/a' }] }),
    message: `actions[0].label: ${oversize('256')}`,
  },
  {
    name: 'eleven actions',
    request: complete({ actions: Array.from({ length: 11 }, () => ({ label: 'a', url: '/a' })) }),
    message: 'actions: must be at most 10',
  },
  {
    name: 'a title beyond any sense',
    request: complete({ title: 'x'.repeat(100_000) }),
    message: 'title: must be at most 10,000 characters, or 16,384 bytes of UTF-8',
  },
]);

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

table('NUL, in every protocol and text,', [
  ...(
    ['tenantId', 'notificationId', 'subjectRef', 'title', 'body', 'type', 'actionUrl', 'iconUrl'] as const
  ).map((field) => ({
    name: `it in ${field}`,
    request: complete({ [field]: 'a\0b' }),
    message: `${snake(field)}: ${nul}`,
  })),
  {
    name: 'it in subjectType',
    request: complete({ type: 't', subjectType: '\0' }),
    message: `subject_type: ${nul}`,
  },
  { name: 'it in a user id', request: complete({ userIds: ['a\0'] }), message: `user_ids[0]: ${nul}` },
  {
    name: 'it in an action',
    request: complete({ actions: [{ label: '\0', url: '/\0' }] }),
    message: `actions[0].label: ${nul}; actions[0].url: ${nul}`,
  },
  { name: 'it in a value of data', request: complete({ data: { a: ['\0'] } }), message: `data: ${nul}` },
  { name: 'it in a key of data', request: complete({ data: { 'a\0': 1 } }), message: `data: ${nul}` },
  {
    name: 'it in an address',
    request: complete({ addresses: { alice: { byChannel: { email: 'a\0' } } } }),
    message: `addresses.email: ${nul}`,
  },
  {
    name: 'it in the user of an address',
    request: complete({ addresses: { 'a\0': { byChannel: {} } } }),
    message: `addresses: ${nul}`,
  },
  {
    name: 'it in a push token',
    method: registerPushToken,
    request: { deviceType: 'DEVICE_TYPE_IOS', token: 'a\0', deviceId: '\0' },
    message: `token: ${nul}; device_id: ${nul}`,
  },
  {
    name: 'it in a filter by type',
    method: getNotifications,
    request: { types: ['a', 'b\0'] },
    message: `types[1]: ${nul}`,
  },
  {
    name: 'it in a data change',
    method: publishDataChange,
    request: {
      tenantId: '\0a',
      userIds: ['\0a'],
      idempotencyKey: '\0a',
      subjectRef: '\0',
      subjectType: '\0',
    },
    message: ['tenant_id', 'user_ids[0]', 'idempotency_key', 'subject_ref', 'subject_type']
      .map((field) => `${field}: ${nul}`)
      .join('; '),
  },
]);

table('a field that this version does not have, in every protocol,', [
  ...Object.entries({
    template: 'welcome',
    groupKey: 'g',
    groupWindowMs: '1',
    content: { email: { subject: 's' } },
    topics: ['*'],
    excludeUserIds: ['bob'],
    dryRun: true,
  }).map(([field, value]) => ({
    name: field,
    request: complete({ [field]: value }),
    message: `${snake(field)}: is not supported by this version; leave it out`,
  })),
]);

table('text that is not Unicode, in every protocol,', [
  {
    name: 'bytes that are not UTF-8',
    json: Buffer.concat([Buffer.from('{"tenantId":"'), Buffer.of(0xff), Buffer.from('"}')]),
    binary: Buffer.of(0x0a, 1, 0xff),
    message: /UTF-8/,
  },
  {
    name: 'a surrogate encoded as if it were a character',
    json: Buffer.concat([Buffer.from('{"title":"'), Buffer.of(0xed, 0xa0, 0x80), Buffer.from('"}')]),
    binary: Buffer.of(0x3a, 3, 0xed, 0xa0, 0x80),
    message: /UTF-8/,
  },
  {
    name: 'a lone surrogate in a field',
    json: '{"title":"\\ud800"}',
    message: 'title: must be valid Unicode, without lone surrogates',
  },
  {
    name: 'a lone surrogate in a list',
    json: '{"userIds":["a","\\udc00x"]}',
    message: 'user_ids[1]: must be valid Unicode, without lone surrogates',
  },
  {
    name: 'a lone surrogate in a map key',
    json: '{"addresses":{"\\ud800":{}}}',
    message: 'addresses: must have keys of valid Unicode, without lone surrogates',
  },
  {
    name: 'a lone surrogate in data',
    json: text(complete()).replace('}', ',"data":{"a":"\\udfff"}}'),
    message: 'data: must be valid Unicode, without lone surrogates',
  },
]);

const secret = 'hunter2';
table('a value of the wrong JSON type', [
  {
    name: 'text for a list',
    json: text({ user_ids: secret }),
    secret,
    message: 'user_ids: must be a JSON array',
  },
  {
    name: 'other things than text in a list',
    json: text({ userIds: ['a', 1, { b: secret }, null] }),
    secret,
    message: 'user_ids[1]: must be a string; user_ids[2]: must be a string; user_ids[3]: must be a string',
  },
  {
    name: 'a number for text',
    json: text({ tenantId: 31337, title: ['x'] }),
    secret: '31337',
    message: 'tenant_id: must be a string; title: must be a string',
  },
  {
    name: 'a list for a map',
    json: text({ addresses: [secret] }),
    secret,
    message: 'addresses: must be a JSON object',
  },
  {
    name: 'a number for an address',
    json: text({ addresses: { [secret]: { byChannel: { email: 5 } } } }),
    secret,
    message: 'addresses.*.by_channel.*: must be a string',
  },
  {
    name: 'null in a map',
    json: text({ addresses: { [secret]: null } }),
    secret,
    message: 'addresses.*: must be a JSON object',
  },
  { name: 'text for a struct', json: text({ data: secret }), secret, message: 'data: must be a JSON object' },
  {
    name: 'text for a time',
    json: text({ expiresAtMs: secret }),
    secret,
    message: 'expires_at_ms: must be a 64-bit integer, as a number or a string of digits',
  },
  {
    name: 'a fraction for a time',
    json: text({ expires_at_ms: 1.5 }),
    message: 'expires_at_ms: must be a 64-bit integer, as a number or a string of digits',
  },
  {
    name: 'a time beyond 64 bits',
    json: text({ expires_at_ms: '9223372036854775808' }),
    message: 'expires_at_ms: must be a 64-bit integer, as a number or a string of digits',
  },
  {
    name: 'text for true',
    json: text({ returnResults: secret }),
    secret,
    message: 'return_results: must be true or false',
  },
  {
    name: 'true for an enum',
    json: text({ urgency: true, channels: [false] }),
    message:
      "channels[0]: must be an enum value's name or number; urgency: must be an enum value's name or number",
  },
  {
    name: 'text for a message in a list',
    json: text({ actions: [secret, { label: 7 }] }),
    secret,
    message: 'actions[0]: must be a JSON object; actions[1].label: must be a string',
  },
  {
    name: 'text for a number',
    method: getNotifications,
    json: text({ limit: secret }),
    secret,
    message: 'limit: must be a 32-bit integer',
  },
  {
    name: 'a number beyond 32 bits',
    method: getNotifications,
    json: text({ limit: 2 ** 31 }),
    message: 'limit: must be a 32-bit integer',
  },
  {
    name: 'unknown enum values and wrong types together',
    json: text({ channels: ['FAX'], title: 5 }),
    message: `channels[0]: must be one of ${channels}; title: must be a string`,
  },
  {
    name: 'a field by both its names',
    json: '{"tenant_id":"a","tenantId":"b"}',
    message: 'tenant_id: is there twice, as tenant_id and as tenantId',
  },
  { name: 'a list as the body', json: `["${secret}"]`, secret, message: 'the body must be a JSON object' },
  { name: 'null as the body', json: 'null', message: 'the body must be a JSON object' },
  {
    name: 'data nested a hundred thousand deep',
    json: `{"data":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
    message: /nested over 90 levels/,
  },
  {
    name: 'three hundred thousand wrong values, in a short message',
    json: text({ userIds: Array.from({ length: 300_000 }, () => 1) }),
    message: /^user_ids\[0\]: must be a string; .{500,3000}; and \d+ more$/,
  },
]);

table('a body that is not JSON', [
  { name: 'an empty one', json: '', message: 'the body is empty; send {} for a request without fields' },
  { name: 'one of white space', json: '  \n ', message: malformed(2, 2) },
  { name: 'a bare word', json: `{"a":\n  ${secret}}`, secret, message: malformed(2, 3) },
  { name: 'a comma too many', json: '{"a":1,}', message: malformed(1, 8) },
  { name: 'a comma too many in a list', json: '{"a":[1,]}', message: malformed(1, 9) },
  { name: 'one that ends too early', json: `{"a":{"${secret}":1}`, secret, message: malformed(1, 19) },
  { name: 'text that does not end', json: `{"a":"${secret}`, secret, message: malformed(1, 6) },
  { name: 'a line break in text', json: '{"a":"b\nc"}', message: malformed(1, 6) },
  { name: 'a wrong escape', json: '{"a":\n\n"\\x"}', message: malformed(3, 1) },
  { name: 'two values', json: '{} {}', message: malformed(1, 4) },
  { name: 'a key without quotes', json: `{${secret}:1}`, secret, message: malformed(1, 2) },
  { name: 'a missing colon', json: '{"a" 1}', message: malformed(1, 6) },
  { name: 'a missing comma', json: '[1 2]', message: malformed(1, 4) },
  { name: 'the wrong bracket', json: '{"a":[1}', message: malformed(1, 8) },
  { name: 'a comment', json: '{/**/}', message: malformed(1, 2) },
  { name: 'a leading zero', json: '{"a":01}', message: malformed(1, 7) },
  { name: 'a byte order mark', json: '\ufeff{}', message: malformed(1, 1) },
  { name: 'a hundred thousand open brackets', json: '['.repeat(100_000), message: malformed(1, 100_001) },
]);

table('a body that is not protobuf', [
  {
    name: 'a truncated one',
    binary: Buffer.of(0x0a, 200, 1, 0x61),
    message: notBinary('elloloop.notify.v1.NotifyRequest'),
  },
  {
    name: 'a field of the wrong wire type',
    binary: Buffer.of(0x0f),
    message: notBinary('elloloop.notify.v1.NotifyRequest'),
  },
  {
    name: 'JSON',
    binary: Buffer.from('{"tenantId":"demo"}'),
    message: notBinary('elloloop.notify.v1.NotifyRequest'),
  },
]);

table('a body over 4 MiB, in every protocol,', [
  {
    name: 'a plain one',
    request: complete({ body: 'x'.repeat(5 * 2 ** 20) }),
    code: 'resource_exhausted',
    message: tooLarge,
  },
  {
    name: 'one of a byte too many',
    json: ' '.repeat(4 * 2 ** 20 + 1),
    binary: Buffer.alloc(4 * 2 ** 20 + 1),
    code: 'resource_exhausted',
    message: tooLarge,
  },
  {
    name: 'one that inflates to 64 MiB',
    json: Buffer.alloc(2 ** 26, 0x20),
    binary: Buffer.alloc(2 ** 26),
    gzip: true,
    code: 'resource_exhausted',
    message: tooLarge,
  },
]);

describe('a body of exactly 4 MiB', () => {
  for (const dialect of dialects)
    it(`is read, over ${dialect.name}`, async () => {
      const body = dialect.isJson ? Buffer.alloc(4 * 2 ** 20, 0x20) : Buffer.alloc(4 * 2 ** 20);
      if (dialect.isJson) body.write('{}');
      const { error } = await speak(dialect, service.url.internal, procedures.notify, body);
      assert.equal(error?.code, 'invalid_argument');
    });
});

table('compression, in every protocol,', [
  {
    name: 'data that is not gzip',
    json: Buffer.from(secret),
    binary: Buffer.from(secret),
    headers: { 'content-encoding': 'gzip' },
    only: isConnect,
    secret,
    message: 'the compressed data is damaged',
  },
  {
    name: 'an encoding that is not spoken',
    request: complete(),
    headers: { 'content-encoding': 'br' },
    only: isConnect,
    code: 'unimplemented',
    message: 'unknown compression; use gzip or identity',
  },
]);

describe('an enveloped body', () => {
  const grpc = dialects.filter(isGrpc);
  const frames = [
    {
      name: 'damaged gzip',
      body: envelope(Buffer.from(secret), 1),
      encoding: 'gzip',
      code: 'invalid_argument',
      message: 'the compressed data is damaged',
    },
    {
      name: 'an encoding that is not spoken',
      body: envelope(Buffer.from(secret), 1),
      encoding: 'br',
      code: 'unimplemented',
      message: 'unknown compression; use gzip or identity',
    },
    {
      name: 'compression that is not named',
      body: envelope(gzipSync(secret), 1),
      encoding: 'identity',
      code: 'invalid_argument',
      message: 'the message is compressed, but no encoding is named',
    },
    {
      name: 'no message',
      body: Buffer.alloc(0),
      encoding: 'identity',
      code: 'invalid_argument',
      message: 'the request holds no message; send exactly one',
    },
    {
      name: 'half a message',
      body: envelope(Buffer.from(secret)).subarray(0, 8),
      encoding: 'identity',
      code: 'invalid_argument',
      message: 'the request ends in the middle of its message',
    },
    {
      name: 'two messages',
      body: Buffer.concat([envelope(Buffer.alloc(0)), envelope(Buffer.alloc(0))]),
      encoding: 'identity',
      code: 'unimplemented',
      message: 'the request holds more than one message; send exactly one',
    },
    {
      name: 'no envelope',
      body: Buffer.from(text(complete())),
      encoding: 'identity',
      code: 'invalid_argument',
      message: 'the request has no envelope: put a byte 0 and the length in four bytes before the message',
    },
    {
      name: 'the announcement of 4 GiB',
      body: Buffer.of(0, 255, 255, 255, 255),
      encoding: 'identity',
      code: 'resource_exhausted',
      message: tooLarge,
    },
  ];
  for (const { name, body, encoding, code, message } of frames)
    it(`is refused with ${name}`, async () => {
      for (const dialect of grpc) {
        const answer = await speak(dialect, service.url.internal, procedures.notify, body, {
          headers: { 'grpc-encoding': encoding },
          framed: true,
        });
        isError(answer, dialect, code, message);
      }
    });
});

table('on the recipient port, in every protocol,', [
  {
    name: 'a cursor that is none',
    method: getNotifications,
    request: { cursor: secret },
    secret,
    message: /^cursor: is not one that this service gave;/,
  },
  {
    name: 'a cursor with something appended',
    method: getNotifications,
    request: { cursor: `${Buffer.from('n1.5').toString('base64url')}=` },
    message: /^cursor: /,
  },
  {
    name: 'a cursor of another kind',
    method: getNotifications,
    request: { cursor: Buffer.from('n2.5').toString('base64url') },
    message: /^cursor: /,
  },
  {
    name: 'a channel filter that names none',
    method: getNotifications,
    request: { channels: [0] },
    message: 'channels[0]: must name a channel',
  },
  {
    name: 'an unknown channel in a filter',
    method: getNotifications,
    request: { channels: [77] },
    message: `channels[0]: must be one of ${channels}`,
  },
  {
    name: 'a device without type and token',
    method: registerPushToken,
    request: {},
    message: `device_type: must be one of DEVICE_TYPE_BROWSER, DEVICE_TYPE_ANDROID, DEVICE_TYPE_IOS; token: ${blank}`,
  },
  {
    name: 'a device without type',
    method: registerPushToken,
    request: { token: secret },
    secret,
    message: /^device_type: must be one of DEVICE_TYPE_BROWSER,/,
  },
  {
    name: 'a device of an unknown type',
    method: registerPushToken,
    request: { token: 't', deviceType: 9 },
    message: /^device_type: must be one of DEVICE_TYPE_BROWSER,/,
  },
  {
    name: 'a device without token',
    method: registerPushToken,
    request: { deviceType: 1, token: ' ' },
    message: `token: ${blank}`,
  },
  {
    name: 'an acknowledgement of no hint',
    method: NotificationClientService.method.ackDataChange,
    request: { sessionId: ' ' },
    message: `idempotency_key: ${blank}; session_id: ${blank}`,
  },
  {
    name: 'a seen position below 0',
    method: InboxService.method.markSeen,
    request: { upToPosition: '-1' },
    message: /^up_to_position: /,
  },
  {
    name: 'a read position below 0',
    method: InboxService.method.markAllRead,
    request: { upToPosition: '-9223372036854775808' },
    message: /^up_to_position: /,
  },
]);

table('on the producer port, in every protocol,', [
  {
    name: 'an empty batch',
    method: notifyBatch,
    request: {},
    message: 'requests: must hold at least one request',
  },
  {
    name: 'a batch of 1,001',
    method: notifyBatch,
    request: { requests: Array.from({ length: 1_001 }, () => ({})) },
    message: 'requests: must be at most 1000; split the batch',
  },
  {
    name: 'a batch of a million, before it looks at what they hold',
    method: notifyBatch,
    json: `{"requests":[${Array(1_000_000).fill('7').join()}]}`,
    binary: Buffer.alloc(2_000_000, Buffer.of(0x0a, 0x00)), // field 1, no bytes
    message: 'requests: must be at most 1000; split the batch',
  },
  {
    name: 'an unknown channel deep in a batch',
    method: notifyBatch,
    request: { requests: [{}, { channels: [1, 77] }] },
    message: `requests[1].channels[1]: must be one of ${channels}`,
  },
  {
    name: 'a wrong type deep in a batch',
    method: notifyBatch,
    json: text({ requests: [{}, { userIds: ['a', 7] }] }),
    message: 'requests[1].user_ids[1]: must be a string',
  },
  {
    name: 'an empty data change',
    method: publishDataChange,
    request: {},
    message: `tenant_id: ${blank}; user_ids: must name at least one user; idempotency_key: ${blank}`,
  },
]);

describe('an id that is not in this inbox, in every protocol,', async () => {
  const own = async (user: string, tenant: string) => {
    await call(service.url.internal, procedures.notify, complete({ tenantId: tenant, userIds: [user] }));
    const { body } = await call(service.url.client, procedures.getNotifications, {}, as(user, tenant));
    return (body as { notifications: { id: string }[] }).notifications[0]?.id ?? '';
  };
  const ids = {
    'an unknown id': '01890000-0000-7000-8000-000000000000',
    'an id that is no UUID': secret,
    'an id with NUL': '\0',
    "another user's id": await own('bob', 'demo'),
    'the id of a namesake in another tenant': await own('alice', 'other'),
  };
  const { getNotification, markUnread, archive, unarchive, snooze, deleteNotification } = InboxService.method;
  for (const method of [ackNotification, getNotification, markUnread, archive, unarchive, deleteNotification])
    for (const [name, id] of Object.entries(ids))
      it(`is not found by ${method.name}: ${name}`, () =>
        isRefused({
          name,
          method,
          request: { id },
          code: 'not_found',
          message: 'no such notification in this inbox',
        }));
  const all = [ackNotification, getNotification, markUnread, archive, unarchive, snooze, deleteNotification];
  for (const method of all)
    it(`is asked for by ${method.name}`, () =>
      isRefused({ name: '', method, request: { id: ' ' }, message: `id: ${blank}` }));
});

const jwtSecret = 'a secret of at least thirty-two bytes';
const guarded = await build(
  { after },
  { NOTIFY_AUTH_DEV_MODE: 'false', NOTIFY_AUTH_JWT_SECRET: jwtSecret, NOTIFY_INTERNAL_TOKEN: 'sesame' },
  calm,
);

const goodToken = jwt(jwtSecret, { sub: 'alice', tenant: 'demo' });

const broken = { json: '{"broken', binary: Buffer.of(0xff) };
const huge = { json: Buffer.alloc(5 * 2 ** 20, 0x20), binary: Buffer.alloc(5 * 2 ** 20) };
const noToken = 'send Authorization: Bearer with a token of this recipient';
const badInternal = 'the header X-Notify-Internal-Token is missing or is not NOTIFY_INTERNAL_TOKEN';

table('before it looks at the body, in every protocol,', [
  ...Object.entries({
    'a broken body': broken,
    'a body over 4 MiB': huge,
    'a good body': { request: complete() },
  }).flatMap(([what, body]): Case[] => [
    {
      name: `a recipient without a token, with ${what}`,
      method: getNotifications,
      ...body,
      ...('request' in body && { request: {} }),
      headers: {},
      at: guarded,
      code: 'unauthenticated',
      message: noToken,
    },
    {
      name: `a backend without the internal token, with ${what}`,
      ...body,
      headers: {},
      at: guarded,
      code: 'unauthenticated',
      message: badInternal,
    },
  ]),
  {
    name: 'a token that is none',
    method: getNotifications,
    ...broken,
    headers: { authorization: `Bearer ${secret}` },
    at: guarded,
    secret,
    code: 'unauthenticated',
    message: 'the bearer token is not a JWT with a valid HS256 signature',
  },
  {
    name: 'a dev token outside dev mode',
    method: getNotifications,
    ...broken,
    headers: as('alice'),
    at: guarded,
    code: 'unauthenticated',
    message: 'the bearer token is not a JWT with a valid HS256 signature',
  },
  {
    name: 'a dev token that is incomplete',
    method: getNotifications,
    ...broken,
    headers: { authorization: 'Bearer dev:alice' },
    code: 'unauthenticated',
    message: 'in dev mode the token is dev:<user>:<tenant>, optionally with :<email>',
  },
  {
    name: 'Basic instead of Bearer',
    method: getNotifications,
    ...broken,
    headers: { authorization: 'Basic YTpi' },
    at: guarded,
    code: 'unauthenticated',
    message: noToken,
  },
  {
    name: 'the wrong internal token',
    ...broken,
    headers: { 'x-notify-internal-token': 'sesam' },
    at: guarded,
    code: 'unauthenticated',
    message: badInternal,
  },
  {
    name: 'the internal token in another header',
    ...broken,
    headers: { authorization: 'Bearer sesame', 'x-internal-token': 'sesame' },
    at: guarded,
    code: 'unauthenticated',
    message: badInternal,
  },
  {
    name: 'a recipient token instead of the internal one',
    ...broken,
    headers: { 'x-notify-internal-token': goodToken },
    at: guarded,
    code: 'unauthenticated',
    message: badInternal,
  },
]);

describe('the right token, in every protocol,', () => {
  for (const dialect of dialects)
    it(`lets in over ${dialect.name}`, async () => {
      const inbox = await speak(
        dialect,
        guarded.url.client,
        procedures.getNotifications,
        Buffer.from(dialect.isJson ? '{}' : ''),
        {
          headers: { authorization: `bEARER ${goodToken}` },
        },
      );
      assert.equal(inbox.error, undefined);
      const body = bodyOf({ name: '', message: '', request: complete() }, dialect) ?? Buffer.alloc(0);
      const sent = await speak(dialect, guarded.url.internal, procedures.notify, body, {
        headers: { 'x-notify-internal-token': 'sesame' },
      });
      assert.equal(sent.error, undefined);
    });
});

it('the internal token counts in dev mode too, once it is set', async (t) => {
  const half = await build(t, { NOTIFY_INTERNAL_TOKEN: 'sesame' }, calm);
  await isRefused({ name: '', request: complete(), at: half, code: 'unauthenticated', message: badInternal });
});

table('headers of Connect', [
  {
    name: 'another protocol version',
    request: complete(),
    headers: { 'connect-protocol-version': '2' },
    only: isConnect,
    message: 'the header Connect-Protocol-Version must be 1, or absent',
  },
  ...['soon', '-1', '1.5', '12345678901', ''].map((value) => ({
    name: `the timeout "${value}"`,
    request: complete(),
    headers: { 'connect-timeout-ms': value },
    only: isConnect,
    message: 'the header Connect-Timeout-Ms must be at most ten digits',
  })),
  {
    name: 'a timeout of which nothing is left',
    request: complete(),
    headers: { 'connect-timeout-ms': '0' },
    only: isConnect,
    code: 'deadline_exceeded',
    message: 'the deadline of the call has passed',
  },
]);

table('headers of gRPC and gRPC-web', [
  ...['soon', '5', 'S', '-1S', '123456789S', '1x'].map((value) => ({
    name: `the timeout "${value}"`,
    request: complete(),
    headers: { 'grpc-timeout': value },
    only: isGrpc,
    message: 'the header grpc-timeout must be at most eight digits and one of the units H, M, S, m, u, n',
  })),
  {
    name: 'a timeout of which nothing is left',
    request: complete(),
    headers: { 'grpc-timeout': '0m' },
    only: isGrpc,
    code: 'deadline_exceeded',
    message: 'the deadline of the call has passed',
  },
]);

describe('a server in trouble, in every protocol,', () => {
  const list = { method: getNotifications, request: {} };

  it('says so when it is overloaded, and when to come back', async (t) => {
    const busy = await build(t, {}, calm);
    busy.core.pressure.isHigh = () => true;
    await isRefused({
      name: '',
      at: busy,
      ...list,
      code: 'resource_exhausted',
      message: 'this server is overloaded; try again',
    });
    await isRefused({
      name: '',
      at: busy,
      ...list,
      ...broken,
      code: 'resource_exhausted',
      message: 'this server is overloaded; try again',
    });
    await isRefused(
      {
        name: '',
        at: busy,
        method: streamEvents,
        request: {},
        code: 'resource_exhausted',
        message: 'this server is overloaded; try again',
      },
      streamDialects,
    );
  });

  it('is overloaded while its event loop lags, and no longer', async (t) => {
    // far above what a machine that has other things to do as well makes it wait
    const pressure = { maxEventLoopDelayMs: 300, sampleIntervalMs: 50 };
    const { url } = await build(t, {}, { pressure });
    const status = async () => (await call(url.client, procedures.getNotifications, {}, as('alice'))).status;
    await eventually('it takes calls', async () => (await status()) === 200);
    await eventually('a lagging service refuses', async () => {
      const until = performance.now() + 700;
      while (performance.now() < until);
      return (await status()) === 429;
    });
    await eventually('it takes calls again', async () => (await status()) === 200);
  });

  it('says so when its store is away, and when to come back', async (t) => {
    const away = await build(t, {}, calm);
    await away.core.store.close();
    await isRefused({
      name: '',
      at: away,
      ...list,
      code: 'unavailable',
      message: 'the store is closed; try another server',
    });
    await isRefused({
      name: '',
      at: away,
      request: complete(),
      code: 'unavailable',
      message: 'the store is closed; try another server',
    });
  });

  it('keeps the cause of an internal error in the log, under the id that the answer shows', async (t) => {
    const log = logFile(t);
    const failing = await build(t, {}, { ...calm, logger: log.logger });
    failing.core.store.listNotifications = async () => {
      throw new Error(`cannot log in with ${secret}`);
    };
    for (const dialect of dialects) {
      const body = Buffer.from(dialect.isJson ? '{}' : '');
      const answer = await speak(dialect, failing.url.client, procedures.getNotifications, body, {
        headers: as('alice'),
      });
      isError(answer, dialect, 'internal', 'internal error; the log has the cause under this request id');
      assert.ok(!everything(answer).includes(secret), dialect.name);
      const { code, user_id, tenant_id, procedure, err } = await eventually('the id is in the log', () =>
        log.lines('rpc').find(({ request_id }) => request_id === answer.headers['x-request-id']),
      );
      assert.deepEqual([code, user_id, tenant_id], ['internal', 'alice', 'demo']);
      assert.equal(procedure, `/${procedures.getNotifications}`);
      assert.match((err as { message: string }).message, /cannot log in/);
    }
  });

  it('names the request of every answer, as its log line does', async (t) => {
    const log = logFile(t);
    const logging = await build(t, {}, { ...calm, logger: log.logger });
    const headers = as('alice');
    for (const dialect of dialects) {
      const body = Buffer.from(dialect.isJson ? '{}' : '');
      const answer = await speak(dialect, logging.url.client, procedures.getNotifications, body, { headers });
      assert.equal(answer.error, undefined);
      const { code } = await eventually(`the id is in the log (${dialect.name})`, () =>
        log.lines('rpc').find(({ request_id }) => request_id === answer.headers['x-request-id']),
      );
      assert.equal(code, 'ok');
    }
    const unknownType = await fetch(`${logging.url.client}/${procedures.getNotifications}`, {
      method: 'POST',
      headers,
    });
    assert.equal(unknownType.status, 415);
    assert.match(unknownType.headers.get('x-request-id') ?? '', /./);
  });

  it('logs each refused call once, with its code', async (t) => {
    const log = logFile(t);
    const logging = await build(t, {}, { ...calm, logger: log.logger });
    const expected: string[] = [];
    for (const dialect of dialects)
      for (const [body, headers, code] of [
        [dialect.isJson ? '{' : '\xff', as('alice'), 'invalid_argument'],
        ['', {}, 'unauthenticated'],
        [dialect.isJson ? '{}' : '', { ...as('alice'), ...unreadable }, 'invalid_argument'],
        [dialect.isJson ? '{}' : '', as('alice'), 'ok'],
      ] as const) {
        const bytes = Buffer.from(body, 'latin1');
        await speak(dialect, logging.url.client, procedures.getNotifications, bytes, { headers });
        expected.push(code);
      }
    await eventually('every call is in the log', () => {
      const codes = log.lines('rpc').map(({ code }) => code);
      // a call's line may come after its answer
      assert.deepEqual(codes.sort(), expected.sort());
      return true;
    });
  });
});

const unreadable = { 'connect-timeout-ms': 'x', 'grpc-timeout': 'x' };

describe('StreamEvents, in every protocol,', () => {
  const stream = (given: Omit<Case, 'name'>) =>
    isRefused({ name: '', method: streamEvents, ...given }, streamDialects);

  it('refuses a bad token before it looks at the body', async () => {
    for (const body of [broken, huge])
      await stream({ ...body, headers: {}, at: guarded, code: 'unauthenticated', message: noToken });
  });

  it('refuses a broken body', async () => {
    await stream({ json: '{"a":', message: malformed(1, 6) });
    await stream({ json: '', message: 'the body is empty; send {} for a request without fields' });
    await stream({ binary: Buffer.of(0xff), message: notBinary('elloloop.notify.v1.StreamEventsRequest') });
    await stream({
      json: text({ lastPosition: secret }),
      secret,
      message: /^last_position: must be a 64-bit integer/,
    });
    await stream({ ...huge, code: 'resource_exhausted', message: tooLarge });
    await stream({ ...huge, gzip: true, code: 'resource_exhausted', message: tooLarge });
  });

  it('refuses an unknown device type', () =>
    stream({
      request: { deviceType: 9 },
      message: 'device_type: must be one of DEVICE_TYPE_BROWSER, DEVICE_TYPE_ANDROID, DEVICE_TYPE_IOS',
    }));

  it('refuses another protocol version and unreadable deadlines', async () => {
    await stream({
      request: {},
      headers: { ...as('alice'), 'connect-protocol-version': '2' },
      only: isConnect,
      message: 'the header Connect-Protocol-Version must be 1, or absent',
    });
    await stream({
      request: {},
      headers: { ...as('alice'), 'connect-timeout-ms': 'x' },
      only: isConnect,
      message: 'the header Connect-Timeout-Ms must be at most ten digits',
    });
    await stream({
      request: {},
      headers: { ...as('alice'), 'grpc-timeout': 'x' },
      only: isGrpc,
      message: /^the header grpc-timeout must be/,
    });
  });

  it('is unimplemented where live connections are off, once the token is good; the rest goes on', async (t) => {
    const off = await build(t, { NOTIFY_LIVE_CONNECTIONS_ENABLED: 'false' }, calm);
    const message = 'live connections are switched off on this server';
    await stream({ request: {}, at: off, code: 'unimplemented', message });
    const noDevToken = 'send Authorization: Bearer dev:<user>:<tenant>';
    await stream({ request: {}, at: off, headers: {}, code: 'unauthenticated', message: noDevToken });
    const { body } = await call(off.url.internal, procedures.notify, complete());
    assert.equal(body.pending, 1);
    const ack = `${streamEvents.parent.typeName}/AckDataChange`;
    const hint = { idempotencyKey: 'k', sessionId: 's' };
    assert.equal((await call(off.url.client, ack, hint, as('alice'))).status, 200);
  });

  it('refuses one stream more than a user may have, and says when to come back', async (t) => {
    const few = await build(t, { NOTIFY_LIVE_MAX_STREAMS_PER_USER: '1' }, calm);
    const session = http2.connect(few.url.client);
    t.after(() => session.destroy());
    const open = session.request({
      ':method': 'POST',
      ':path': `/${procedures.streamEvents}`,
      'content-type': 'application/connect+json',
      ...as('alice'),
    });
    open.end(envelope(Buffer.from('{}')));
    await once(open, 'data');
    const code = 'resource_exhausted';
    await stream({ request: {}, at: few, code, message: /^this user already has 1 live streams;/ });
  });
});

describe('a StreamEvents that cannot begin', () => {
  for (const dialect of streamDialects)
    it(`ends without a position to come back with, and says when to come back (${dialect.name})`, async (t) => {
      const broken = await build(t, {}, calm);
      t.mock.method(broken.core.store, 'inboxSummary', () => Promise.reject(new Error('away')));
      const request = Buffer.from(dialect.isJson ? '{}' : '');
      const answer = await speak(dialect, broken.url.client, procedures.streamEvents, request, {
        headers: as('alice'),
      });
      const { event, position } = dialect.isJson
        ? fromJsonString(streamEvents.output, answer.message.toString())
        : fromBinary(streamEvents.output, answer.message);
      assert.equal(event.case === 'end' && event.value.reason, 'overloaded');
      assert.equal(position, undefined);
      assert.equal(answer.error?.code, 'internal', 'a client must not come back at once');
    });
});

describe('an error with many violations', () => {
  it('fits the 8 KiB of metadata that gRPC clients take', async () => {
    const grpc = dialects.find(({ contentType }) => contentType === 'application/grpc') as Dialect;
    for (const request of [
      complete({ channels: Array.from({ length: 200 }, (_, i) => 200 + i) }),
      complete({ userIds: Array.from({ length: 10_000 }, () => '') }),
    ]) {
      const body = toBinary(notify.input, fromJson(notify.input, request));
      const { trailers, error } = await speak(grpc, service.url.internal, procedures.notify, body);
      assert.equal(error?.code, 'invalid_argument');
      // as RFC 9113 §6.5.2 counts
      const bytes = Object.entries(trailers).reduce(
        (sum, [name, value]) => sum + name.length + value.length + 32,
        0,
      );
      assert.ok(bytes <= 8 * 1024, `${bytes} bytes`);
    }
  });
});

describe('requests that are no call', () => {
  const path = `/${procedures.notify}`;
  const json = { 'content-type': 'application/json' };
  const both = [request1, request2];

  it('answers an unknown path with 404 and code unimplemented, whatever the body', async () => {
    for (const send of both)
      for (const [method, at, headers, body] of [
        ['GET', '/nothing', {}, undefined],
        ['POST', '/nothing', json, Buffer.from('{"broken')],
        ['POST', '/nothing', { 'content-type': 'text/xml' }, Buffer.from('<a/>')],
        ['POST', '/nothing', json, Buffer.alloc(2 ** 21)],
        ['POST', `${path}s`, json, Buffer.from('{}')],
        ['POST', '/elloloop.notify.v1.NotificationClientService/GetNotifications', json, Buffer.from('{}')],
      ] as const) {
        const answer = await send(service.url.internal, method, at, headers, body);
        assert.equal(answer.status, 404, `${method} ${at}`);
        const { code, message } = JSON.parse(answer.body.toString());
        assert.equal(code, 'unimplemented');
        assert.match(message, /there is nothing at this path/);
      }
  });

  it('tells a page of an allowed origin so, whatever it did wrong', async (t) => {
    const { url } = await build(t, { NOTIFY_ALLOWED_ORIGINS: 'https://app.example' }, calm);
    const origin = { origin: 'https://app.example' };
    const inboxPath = `/${procedures.getNotifications}`;
    const asked = { ...origin, 'access-control-request-method': 'POST' };
    const preflight = await request1(url.client, 'OPTIONS', inboxPath, asked);
    assert.equal(preflight.status, 204);
    for (const [status, method, at, headers] of [
      [404, 'POST', `${inboxPath}s`, json],
      [405, 'GET', inboxPath, {}],
      [415, 'POST', inboxPath, { 'content-type': 'text/plain' }],
      [401, 'POST', inboxPath, json],
      [200, 'POST', inboxPath, { 'content-type': 'application/grpc-web' }],
      [200, 'POST', `/${procedures.streamEvents}`, { 'content-type': 'application/connect+json' }],
    ] as const) {
      const answer = await request1(url.client, method, at, { ...headers, ...origin }, Buffer.from('{'));
      assert.equal(answer.status, status);
      assert.equal(answer.headers['access-control-allow-origin'], 'https://app.example', `${status} ${at}`);
    }
  });

  it('answers an unknown method with 404 in every protocol, which gRPC reads as unimplemented', async () => {
    for (const { httpVersion, contentType } of dialects) {
      const answer = await post(
        httpVersion,
        service.url.internal,
        `${procedures.notify}All`,
        { 'content-type': contentType },
        Buffer.alloc(5),
      );
      assert.equal(answer.status, 404);
      assert.equal(JSON.parse(answer.body.toString()).code, 'unimplemented');
    }
  });

  it('answers every other method than POST with 405', async () => {
    for (const send of both)
      for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']) {
        const answer = await send(service.url.internal, method, path);
        assert.equal(answer.status, 405, method);
        assert.equal(answer.headers.allow, 'POST');
        if (method !== 'HEAD') assert.equal(JSON.parse(answer.body.toString()).code, 'unimplemented');
      }
    const get = await request1(
      service.url.internal,
      'GET',
      `${path}?connect=v1&encoding=json&message=%7B%7D`,
    );
    assert.equal(get.status, 405);
    for (const type of ['application/xml', 'text/plain', 'application/json'])
      assert.equal(
        (await request1(service.url.internal, 'PUT', path, { 'content-type': type }, Buffer.from('{')))
          .status,
        405,
        type,
      );
  });

  it('answers a content type that it does not speak with 415 and those that it does', async () => {
    const unary = Object.values(dialects).map(({ contentType }) => contentType);
    const stream = Object.values(streamDialects).map(({ contentType }) => contentType);
    const streamPath = `/${streamEvents.parent.typeName}/${streamEvents.name}`;
    for (const send of both) {
      for (const type of [
        'text/plain',
        'application/xml',
        'application/connect+json',
        'garbage',
        'application/json; charset=latin1',
        'application/grpc+xml',
      ])
        accepts(
          await send(service.url.internal, 'POST', path, { 'content-type': type }, Buffer.from('{}')),
          unary,
          type,
        );
      accepts(await send(service.url.internal, 'POST', path, {}, Buffer.from('{}')), unary, 'none');
      for (const type of ['application/json', 'application/proto', 'text/plain'])
        accepts(
          await send(
            service.url.client,
            'POST',
            streamPath,
            { ...as('alice'), 'content-type': type },
            Buffer.from('{}'),
          ),
          stream,
          type,
        );
    }
    function accepts(
      answer: { status: number; headers: Readonly<Record<string, string>> },
      wanted: string[],
      type: string,
    ) {
      assert.equal(answer.status, 415, type);
      const offered = (answer.headers['accept-post'] ?? '').split(', ');
      assert.deepEqual(
        wanted.filter((each) => !offered.includes(each)),
        [],
        type,
      );
    }
  });

  it('takes a content type in any case, with UTF-8 as charset and with other parameters', async () => {
    for (const type of [
      'Application/JSON',
      'application/json;charset=utf-8',
      'application/json; charset="UTF-8"',
      'application/json; charset=utf8',
      'application/json; charset=UTF8; v=1',
      'application/json; v=1',
      'application/json;',
    ]) {
      const { status } = await request1(
        service.url.internal,
        'POST',
        path,
        { 'content-type': type },
        Buffer.from(text(complete())),
      );
      assert.equal(status, 200, type);
    }
  });
});
