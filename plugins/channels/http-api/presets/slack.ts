import type { WrittenDefinition } from '../definition.ts';
import { oneText } from './one-text.ts';

/** Slack's limit for a text is 40,000 characters (docs.slack.dev, chat.postMessage, "Truncating content"). */
const text = `${oneText}{{ text | mrkdwn: 40000 }}`;

/** Incoming webhooks (docs.slack.dev, "Sending messages using incoming webhooks"): the destination is the webhook's URL. */
export const slackWebhook: WrittenDefinition = {
  channels: ['chat'],
  url: '{{ destination }}',
  body: { json: { text } },
  errors: [
    {
      status: [403, 404, 410],
      text: ['channel_not_found', 'no_service', 'no_active_hooks', 'no_team', 'channel_is_archived'],
      is: 'dead',
    },
    { status: 410, is: 'dead' },
    { status: 403, text: ['action_prohibited', 'invalid_token'], is: 'credentials' },
    { status: 400, text: ['user_not_found', 'channel_not_found'], is: 'dead' },
  ],
};

/** The Web API's chat.postMessage: the destination is a channel's id. It answers 200 whatever becomes of the message. */
export const slackApi: WrittenDefinition = {
  channels: ['chat'],
  url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/chat.postMessage',
  headers: {
    authorization: 'Bearer {{ env.NOTIFY_CHAT_TOKEN }}',
    'content-type': 'application/json; charset=utf-8',
  },
  body: { json: { channel: '{{ destination }}', text } },
  destination: '#[^\\s#]{1,80}|[A-Z][A-Z0-9]{1,30}',
  success: { where: { ok: true } },
  check: { method: 'POST', url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/auth.test' },
  id: { path: 'ts' },
  errors: [
    {
      where: { error: ['channel_not_found', 'is_archived', 'not_in_channel', 'user_not_found'] },
      is: 'dead',
    },
    {
      where: {
        error: [
          ...[
            'invalid_auth',
            'not_authed',
            'account_inactive',
            'token_revoked',
            'token_expired',
            'no_permission',
          ],
          ...[
            'missing_scope',
            'access_denied',
            'org_login_required',
            'ekm_access_denied',
            'not_allowed_token_type',
          ],
        ],
      },
      is: 'credentials',
    },
    {
      where: {
        error: [
          ...['internal_error', 'fatal_error', 'service_unavailable', 'request_timeout', 'team_added_to_org'],
          ...['ratelimited', 'rate_limited', 'message_limit_exceeded'],
        ],
      },
      is: 'transient',
    },
  ],
};
