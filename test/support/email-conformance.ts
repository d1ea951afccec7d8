import type { ChannelCase } from '../conformance/channel.ts';

/** What the suite for all providers must know of email, whatever the API. */
export const emailCase = {
  destination: () => 'alice@example.org',
  wrongDestinations: [
    'alice',
    '@example.org',
    'alice@',
    'alice@example.org,eve@example.org',
    'alice@example.org;eve@example.org',
    'Alice <alice@example.org>',
    '<alice@example.org>',
    'alice smith@example.org',
    'älice@example.org',
    ' alice@example.org',
    'a@b@example.org',
    'a..b@example.org',
    '.alice@example.org',
    'alice@-example.org',
    'alice@example..org',
    `${'a'.repeat(65)}@example.org`,
    `alice@${'a'.repeat(64)}.org`,
    `alice@${'a.'.repeat(130)}org`,
  ],
  titleIsOneLine: true,
  longest: { title: 'x'.repeat(1_000), body: '€'.repeat(300_000) },
  connections: 10,
} as const satisfies Partial<ChannelCase>;

export const sender = { name: 'Größe, "Notify"', address: 'notify@example.com' };
