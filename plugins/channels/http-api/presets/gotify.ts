import type { WrittenDefinition } from '../definition.ts';

/** A Gotify server (gotify.net/docs/pushmsg): the destination is an application's token, which says whose messages they are. */
export const gotify: WrittenDefinition = {
  channels: ['chat'],
  url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/message',
  headers: { 'x-gotify-key': '{{ destination }}' },
  body: {
    template: [
      // a message is required
      '{"message":"{{ body | default: title }}"{% if body != "" and title != "" %},"title":"{{ title }}"{% endif %}',
      ',"priority":{% case urgency %}{% when "low" %}2{% when "high" %}8{% when "critical" %}10{% else %}5{% endcase %}',
      '{% if link != "" %},"extras":{"client::notification":{"click":{"url":"{{ link }}"}}}{% endif %}}',
    ],
  },
  destination: '[\\w.-]{1,180}',
  id: { path: 'id' },
  check: { url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/health' },
  errors: [{ status: [401, 403], is: 'dead', because: 'no application has the token' }],
};
