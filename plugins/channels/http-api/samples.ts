import type { Values } from './template.ts';

const nasty = 'a "quote", a \\, a\nline and {{ braces }} {% too %} 👩‍🚀';

/** A message that has everything, in signs that break a body which does not escape them. */
export const fullSample: Values = {
  title: nasty,
  body: nasty,
  html: nasty,
  type: nasty,
  subject_ref: nasty,
  subject_type: nasty,
  action_url: nasty,
  link: nasty,
  icon_url: nasty,
  actions: [
    { label: nasty, url: nasty },
    { label: nasty, url: nasty },
  ],
  data: {},
  urgency: 'critical',
  destination: '1',
  from: nasty,
  from_name: nasty,
  from_address: nasty,
  reply_to: nasty,
  message_id: nasty,
  delivery_id: '01a20154-4c3b-758d-8837-6589ea0faff1',
  notification_id: nasty,
  tenant_id: nasty,
  user_id: nasty,
  created_at_ms: '1767225600000',
  expires_at_ms: '1767225600000',
};

/** One that says next to nothing. */
export const bareSample: Values = {
  ...Object.fromEntries(Object.keys(fullSample).map((name) => [name, ''])),
  title: nasty,
  destination: '1',
  actions: [],
  data: {},
  delivery_id: '01a20154-4c3b-758d-8837-6589ea0faff1',
  created_at_ms: '1767225600000',
};

/** No message and nobody: what a check has. */
export const nobody: Values = {
  ...Object.fromEntries(Object.keys(fullSample).map((name) => [name, ''])),
  actions: [],
  data: {},
};
