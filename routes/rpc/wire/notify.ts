import { create } from '@bufbuild/protobuf';
import {
  type NotifyRequest,
  type NotifyResponse,
  NotifyResponseSchema,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import type { Violation } from '../../../src/core/errors.ts';
import { type Channel, channels } from '../../../src/core/glossary.ts';
import type { NotifyAnswer, NotifyCommand } from '../../../src/core/notifier/command.ts';
import { channelFromWire, channelToWire, statusToWire, urgencyFromWire } from './enums.ts';

/** Fields of the agreed contract whose feature is not in this version. Refused by name, never ignored. */
const notBuilt: readonly [string, (request: NotifyRequest) => boolean][] = [
  ['template', (r) => (r.template ?? '') !== ''],
  ['group_key', (r) => (r.groupKey ?? '') !== ''],
  ['group_window_ms', (r) => (r.groupWindowMs ?? 0n) !== 0n],
  ['content', (r) => Object.keys(r.content).length > 0],
  ['topics', (r) => r.topics.length > 0],
  ['exclude_user_ids', (r) => r.excludeUserIds.length > 0],
  ['dry_run', (r) => r.dryRun === true],
];

/**
 * A NotifyRequest in the core's words.
 * @returns also what only the wire can tell is wrong: enum numbers and fields that are not built
 */
export function notifyFromWire(request: NotifyRequest): { command: NotifyCommand; violations: Violation[] } {
  const violations: Violation[] = [];
  const requested: Channel[] = [];
  request.channels.forEach((number, i) => {
    const channel = channelFromWire.get(number);
    if (channel !== undefined) requested.push(channel);
    else
      violations.push({
        field: `channels[${i}]`,
        description:
          'must name a channel; leave channels empty for all that have a provider and a destination',
      });
  });
  const urgency = request.urgency === undefined ? undefined : urgencyFromWire.get(request.urgency);
  for (const [field, isUsed] of notBuilt)
    if (isUsed(request))
      violations.push({ field, description: 'is not supported by this version; leave it out' });

  const data = request.data === undefined ? undefined : JSON.stringify(request.data);
  return {
    violations,
    command: {
      tenantId: request.tenantId,
      userIds: request.userIds,
      channels: requested,
      addresses: addressesFromWire(request),
      content: {
        notificationId: request.notificationId,
        type: request.type || request.subjectType,
        subjectRef: request.subjectRef,
        subjectType: request.subjectType,
        title: request.title,
        body: request.body,
        urgency,
        data,
        actionUrl: request.actionUrl || undefined,
        iconUrl: request.iconUrl || undefined,
        actions: request.actions.map(({ label, url }) => ({ label, url })),
        expiresAtMs: request.expiresAtMs ?? 0n,
      },
      sendAtMs: request.sendAtMs ?? 0n,
      returnResults: request.returnResults ?? false,
    },
  };
}

const noAddresses: NotifyCommand['addresses'] = new Map();

/** Unknown keys are ignored, as the public contract says. */
function addressesFromWire(request: NotifyRequest): NotifyCommand['addresses'] {
  const entries = Object.entries(request.addresses);
  if (entries.length === 0) return noAddresses;
  return new Map(
    entries.map(([userId, { byChannel }]) => [
      userId,
      Object.fromEntries(
        channels
          .filter((channel) => Object.hasOwn(byChannel, channel))
          .map((channel) => [channel, byChannel[channel]]),
      ),
    ]),
  );
}

/** What this service adds is written only where it is used. */
export function notifyToWire(answer: NotifyAnswer): NotifyResponse {
  const { delivered, pending, failed, suppressed, results } = answer;
  return create(NotifyResponseSchema, {
    delivered,
    pending,
    failed,
    ...(suppressed > 0 && { suppressed }),
    results: results.map((result) => ({
      ...result,
      channel: channelToWire[result.channel],
      status: statusToWire[result.status],
    })),
  });
}
