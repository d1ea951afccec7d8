import type { WrittenDefinition } from '../definition.ts';

/**
 * Microsoft Teams by a workflow, "Post to a channel when a webhook request is received" (learn.microsoft.com, "Create incoming
 * webhooks with Workflows"): the destination is the workflow's URL. The card is cut to stay below 28 KB.
 */
export const teams: WrittenDefinition = {
  channels: ['chat'],
  url: '{{ destination }}',
  body: {
    template: [
      '{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{',
      '"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard","version":"1.4","body":[',
      '{% if title != "" %}{"type":"TextBlock","size":"Medium","weight":"Bolder","wrap":true,"text":"{{ title | cut_bytes: 3000 }}"}',
      '{% if body != "" %},{% endif %}{% endif %}',
      '{% if body != "" %}{"type":"TextBlock","wrap":true,"text":"{{ body | cut_bytes: 18500 }}"}{% endif %}]',
      '{% if link != "" and link.size <= 2000 %},"actions":[',
      '{"type":"Action.OpenUrl","title":"Open","url":"{{ link }}"}]{% endif %}}}]}',
    ],
  },
  errors: [
    { where: { 'error.code': ['WorkflowTriggerIsNotEnabled', 'WorkflowNotFound'] }, is: 'dead' },
    { where: { 'error.code': 'DirectApiAuthorizationRequired' }, is: 'credentials' },
  ],
};
