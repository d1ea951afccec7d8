import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DescMessage, fromJson, type JsonValue } from '@bufbuild/protobuf';
import fc from 'fast-check';
import {
  GetNotificationsRequestSchema,
  NotifyRequestSchema,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { NotifyBatchRequestSchema } from '../../../proto/gen/notify/v1/producer_pb.ts';
import { unknownEnums } from '../../../routes/rpc/protocol/enum-check.ts';
import { readPlain } from '../../../routes/rpc/protocol/plain-json.ts';

const plain = {
  tenantId: 'bench',
  notificationId: 'n-1',
  userIds: ['anna', 'ben'],
  channels: ['DELIVERY_CHANNEL_IN_APP', 'DELIVERY_CHANNEL_EMAIL'],
  title: 'é 😀',
  urgency: 'URGENCY_HIGH',
  returnResults: true,
  actions: [{ label: 'Open', url: '/' }],
};

/** Values that fit a field's kind now and then, and now and then do not. */
const values = fc.oneof(
  { weight: 4, arbitrary: fc.string() },
  fc.constantFrom<JsonValue>(
    'DELIVERY_CHANNEL_IN_APP',
    'DELIVERY_CHANNEL_UNSPECIFIED',
    'URGENCY_LOW',
    'DELIVERY_CHANNEL_FAX',
    '\ud800',
    '',
  ),
  fc.boolean(),
  fc.integer(),
  fc.constant(null),
);
const { value: fieldValues } = fc.letrec<{ value: JsonValue; object: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    { weight: 3, arbitrary: values as fc.Arbitrary<JsonValue> },
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom('label', 'url', 'tenantId', 'x', '__proto__'), tie('value'), {
    maxKeys: 3,
  }) as fc.Arbitrary<JsonValue>,
}));

const requests = (desc: DescMessage) =>
  fc.dictionary(
    fc.constantFrom(
      ...desc.fields.flatMap(({ name, jsonName }) => [jsonName, jsonName, name]),
      'unknown',
      '__proto__',
    ),
    fieldValues,
    { maxKeys: 5 },
  );

describe('plain JSON', () => {
  it('is read as the library reads it, under either name of a field', () => {
    for (const json of [{}, plain, { tenant_id: 'bench', user_ids: [], unknown: [{}] }])
      assert.deepEqual(
        readPlain(NotifyRequestSchema, json),
        fromJson(NotifyRequestSchema, json, { ignoreUnknownFields: true }),
      );
  });

  it('shares nothing between two messages', () => {
    const [one, other] = [readPlain(NotifyRequestSchema, {}), readPlain(NotifyRequestSchema, {})];
    assert.ok(one && other);
    one.userIds.push('anna');
    one.addresses.anna = { $typeName: 'elloloop.notify.v1.ChannelAddresses', byChannel: {} };
    assert.deepEqual([other.userIds, other.addresses], [[], {}]);
  });

  it('is all that is read here, and the same as by the library', () => {
    for (const desc of [NotifyRequestSchema, NotifyBatchRequestSchema, GetNotificationsRequestSchema]) {
      let read = 0;
      fc.assert(
        fc.property(requests(desc), (json) => {
          const message = readPlain(desc, json);
          if (message === undefined) return;
          read += 1;
          assert.deepEqual(unknownEnums(desc, json, true), []);
          assert.deepEqual(
            message,
            fromJson(desc as DescMessage, json as JsonValue, { ignoreUnknownFields: true }),
          );
        }),
        { numRuns: 2_000 },
      );
      assert.ok(read > 100, `${read} of 2,000 were plain`);
    }
  });
});
