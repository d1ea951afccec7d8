import type { Config } from '../../../src/config.ts';
import { type Mailbox, mailboxOf } from './address.ts';

type Email = NonNullable<Config['email']>;
type Name = 'smtp' | 'ses' | 'sendgrid' | 'acs' | 'emailservice';

/**
 * The sender and the block of a provider that the configuration names.
 * @throws Error where the sender is none that a mail could have
 */
export function emailSettings<N extends Name>(
  { email }: Config,
  name: N,
): { readonly from: Mailbox; readonly settings: NonNullable<Email[N]> } {
  const settings = email?.[name];
  if (email === undefined || !settings)
    throw new Error(`email provider ${name} is not the one that is chosen`);
  const from = mailboxOf(email.from);
  if (from === undefined)
    throw new Error(
      'NOTIFY_EMAIL_FROM: its address is none; write notify@example.com or Notify <notify@example.com>',
    );
  return { from, settings };
}
