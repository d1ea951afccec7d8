import type { WrittenDefinition } from '../definition.ts';
import { oneText } from './one-text.ts';

/** Telegram's Bot API (core.telegram.org/bots/api#sendmessage): the destination is a chat's id, or @ and the name of a channel. */
export const telegram: WrittenDefinition = {
  channels: ['chat'],
  url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/bot{{ env.NOTIFY_CHAT_TOKEN }}/sendMessage',
  body: {
    json: {
      chat_id: '{{ destination }}',
      // without a parse_mode: nothing of a text is read as markup
      text: `${oneText}{{ text | cut: 4096 }}`,
    },
  },
  destination: '-?[1-9]\\d{0,19}|@[A-Za-z]\\w{3,31}',
  success: { where: { ok: true } },
  check: { url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/bot{{ env.NOTIFY_CHAT_TOKEN }}/getMe' },
  id: { path: 'result.message_id' },
  // core.telegram.org/bots/faq, "My bot is hitting limits"
  rate: 30,
  retryAfter: { path: 'parameters.retry_after' },
  // a group that became a supergroup
  moved: { path: 'parameters.migrate_to_chat_id' },
  errors: [
    { status: [401, 404], is: 'credentials', because: 'the bot is unknown' },
    { status: 403, is: 'dead', because: 'the bot was blocked or removed, or never started' },
    { status: 400, where: { description: { contains: 'chat not found' } }, is: 'dead' },
    { status: 400, where: { description: { contains: 'user is deactivated' } }, is: 'dead' },
  ],
};
