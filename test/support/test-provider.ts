import assert from 'node:assert/strict';
import type { TestMessage } from '../../plugins/channels/test/mailbox.ts';
import type { TestProviderAnswer } from '../../routes/dev/test-provider.ts';

/** Every channel that a variable gives a provider, with the variable. */
export const providerVariables = {
  email: 'NOTIFY_EMAIL_PROVIDER',
  sms: 'NOTIFY_SMS_PROVIDER',
  whatsapp: 'NOTIFY_WHATSAPP_PROVIDER',
  web_push: 'NOTIFY_WEBPUSH_PROVIDER',
  mobile_push: 'NOTIFY_MOBILEPUSH_PROVIDER',
  chat: 'NOTIFY_CHAT_PROVIDER',
} as const;

/** The environment in which these channels have the test provider; all of them unless named. */
export const withTestProvider = (
  ...channels: readonly (keyof typeof providerVariables)[]
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(providerVariables)
      .filter(([channel]) => channels.length === 0 || channels.includes(channel as 'email'))
      .map(([, variable]) => [variable, 'test']),
  );

/** The test provider's dev endpoints, as a person or a test of somebody else's calls them. */
export class TestProviderClient {
  readonly #base: string;

  /** @param base of the client port */
  constructor(base: string) {
    this.#base = `${base}/dev/test-provider`;
  }

  async look(after = ''): Promise<TestProviderAnswer> {
    const answer = await fetch(`${this.#base}?after=${encodeURIComponent(after)}`);
    assert.equal(answer.status, 200);
    return (await answer.json()) as TestProviderAnswer;
  }

  /** Everything in the mailbox, oldest first. */
  async messages(): Promise<TestMessage[]> {
    return (await this.look()).messages.toReversed();
  }

  /** What became of each message, oldest first. */
  async outcomes(): Promise<string[]> {
    return (await this.messages()).map(({ outcome }) => outcome);
  }

  /** Says what the next messages meet. @param channel '' for all */
  put(channel: string, scene: unknown): Promise<Response> {
    return fetch(channel === '' ? this.#base : `${this.#base}/${channel}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: typeof scene === 'string' ? scene : JSON.stringify(scene),
    });
  }

  async set(channel: string, next: string, count?: number): Promise<void> {
    const answer = await this.put(channel, { next, count });
    assert.equal(answer.status, 200, await answer.text());
  }

  async clear(): Promise<void> {
    const answer = await fetch(`${this.#base}/messages`, { method: 'DELETE' });
    assert.equal(answer.status, 204);
  }
}
