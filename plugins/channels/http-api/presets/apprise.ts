import type { WrittenDefinition } from '../definition.ts';

/** An Apprise server (github.com/caronc/apprise-api, "Persistent Storage Solution"): the destination is a configuration's key. */
export const apprise: WrittenDefinition = {
  channels: ['chat'],
  url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/notify/{{ destination }}',
  headers: { accept: 'application/json' },
  body: {
    template: [
      // a body is required
      '{"body":"{{ body | default: title }}{% if link != "" %}\\n{{ link }}{% endif %}"',
      '{% if body != "" and title != "" %},"title":"{{ title }}"{% endif %}',
      ',"type":"{% case urgency %}{% when "high" %}warning{% when "critical" %}failure{% else %}info{% endcase %}","format":"text"}',
    ],
  },
  destination: '[\\w-]{1,128}',
  check: { url: '{{ env.NOTIFY_CHAT_ENDPOINT }}/status' },
  errors: [
    { status: 204, is: 'dead', because: 'no configuration has the key' },
    // trying again would send twice to those that took it
    { status: 424, is: 'permanent', because: 'some of its services did not take the message' },
  ],
};
