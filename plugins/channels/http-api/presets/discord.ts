import type { WrittenDefinition } from '../definition.ts';
import { oneText } from './one-text.ts';

/**
 * Discord's webhooks (discord.com/developers/docs/resources/webhook, "Execute Webhook"): the destination is the webhook's URL. A
 * text of up to 2,000 characters is a plain message; a longer one an embed, which holds 4,096. No text of a message mentions anybody.
 */
export const discord: WrittenDefinition = {
  channels: ['chat'],
  url: '{{ destination }}',
  // or it answers before it has looked at the message
  query: { wait: 'true' },
  body: {
    template: [
      oneText,
      '{',
      '{% if text.size <= 2000 %}"content":"{{ text }}"',
      '{% else %}"embeds":[{"title":"{{ title | cut: 256 }}","description":"{{ body | cut: 4096 }}"',
      '{% if link != "" and link.size <= 2048 %},"url":"{{ link }}"{% endif %}}]{% endif %},',
      '"allowed_mentions":{"parse":[]}}',
    ],
  },
  id: { path: 'id' },
  retryAfter: { path: 'retry_after' },
  errors: [
    { where: { code: [10015, 10003, 50027] }, is: 'dead', because: 'the webhook or its channel is gone' },
    { status: 404, is: 'dead' },
  ],
};
