import { create } from '@bufbuild/protobuf';
import {
  type NotifyRequest,
  type NotifyResponse,
  NotifyResponseSchema,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import type { Violation } from '../../../src/core/errors.ts';
import { type Action, type Channel, channels } from '../../../src/core/glossary.ts';
import type { NotifyAnswer, NotifyCommand } from '../../../src/core/notifier/command.ts';
import { channelFromWire, channelToWire, statusToWire, urgencyFromWire } from './enums.ts';

/** Fields of the agreed contract whose feature is not in this version. Refused by name, never ignored. */
function refuseNotBuilt(request: NotifyRequest, violations: Violation[]): void {
  const refuse = (field: string) =>
    violations.push({ field, description: 'is not supported by this version; leave it out' });
  if (request.template) refuse('template');
  if (request.groupKey) refuse('group_key');
  if (request.groupWindowMs) refuse('group_window_ms');
  if (!isEmpty(request.content)) refuse('content');
  if (request.topics.length > 0) refuse('topics');
  if (request.excludeUserIds.length > 0) refuse('exclude_user_ids');
  if (request.dryRun) refuse('dry_run');
}

function isEmpty(map: Readonly<Record<string, unknown>>): boolean {
  for (const _key in map) return false;
  return true;
}

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
  refuseNotBuilt(request, violations);

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
        actions:
          request.actions.length === 0 ? none : request.actions.map(({ label, url }) => ({ label, url })),
        expiresAtMs: request.expiresAtMs ?? 0n,
      },
      sendAtMs: request.sendAtMs ?? 0n,
      returnResults: request.returnResults ?? false,
    },
  };
}

/** Stored with every notification that has no buttons, which are most. */
const none: readonly Action[] = [];

const noAddresses: NotifyCommand['addresses'] = new Map();

/** Unknown keys are ignored, as the public contract says. */
function addressesFromWire(request: NotifyRequest): NotifyCommand['addresses'] {
  if (isEmpty(request.addresses)) return noAddresses;
  return new Map(
    Object.entries(request.addresses).map(([userId, { byChannel }]) => [
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
