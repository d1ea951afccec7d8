import type { WrittenDefinition } from '../definition.ts';

/**
 * ntfy (docs.ntfy.sh/publish, "Publish as JSON"): the destination is a topic. A message over 4,096 bytes would become an attachment,
 * and the whole request may have twice that.
 */
export const ntfy: WrittenDefinition = {
  channels: ['chat'],
  url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/',
  headers: {
    authorization: '{% if env.NOTIFY_CHAT_TOKEN != "" %}Bearer {{ env.NOTIFY_CHAT_TOKEN }}{% endif %}',
  },
  body: {
    template: [
      '{"topic":"{{ destination }}"',
      // a message that is empty reads "triggered"
      '{% if body == "" %},"message":"{{ title | cut_bytes: 4096 }}"{% else %},"message":"{{ body | cut_bytes: 4096 }}"',
      '{% if title != "" %},"title":"{{ title | cut_bytes: 1000 }}"{% endif %}{% endif %}',
      '{% if link != "" and link.size <= 2000 %},"click":"{{ link }}"{% endif %}',
      ',"priority":{% case urgency %}{% when "low" %}2{% when "high" %}4{% when "critical" %}5{% else %}3{% endcase %}}',
    ],
  },
  destination: '[-_A-Za-z0-9]{1,64}',
  id: { path: 'id' },
  // a token that is wrong is refused here too
  check: { url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/v1/health' },
  errors: [
    { status: 401, is: 'credentials' },
    // of this topic alone: no reason to stop sending to the others
    { status: 403, is: 'misconfigured', because: 'the topic may not be written to' },
  ],
};
