import fp from 'fastify-plugin';
import type { TestMessage } from '../../plugins/channels/test/mailbox.ts';
import { invalidArgument } from '../../src/core/errors.ts';

/** What GET /dev/test-provider answers. */
export interface TestProviderAnswer {
  /** `?after=` of the next look, which then hears of changes alone. */
  readonly cursor: string;
  /** Messages below this number are forgotten. */
  readonly oldest: number;
  /** New ones, and those that have a new outcome, newest first. */
  readonly messages: readonly TestMessage[];
  /** What the next messages meet, by channel that has a test provider; without a count until something else is set. */
  readonly channels: Readonly<Record<string, { readonly next: string; readonly count?: number | undefined }>>;
}

/**
 * In dev mode: what the test providers were given, and what they are told to do. PUT and JSON alone change anything, which a
 * foreign page cannot send without asking by CORS first.
 */
export default fp(
  async (app) => {
    const { mailbox, script } = app.testProviders;
    const answer = (cursor: string): TestProviderAnswer => ({
      ...mailbox.changesSince(cursor),
      channels: Object.fromEntries(script.scenes),
    });

    app.get('/dev/test-provider', async (request, reply) => {
      const { after } = request.query as Record<string, unknown>;
      return reply.header('cache-control', 'no-store').send(answer(typeof after === 'string' ? after : ''));
    });
    for (const path of ['/dev/test-provider', '/dev/test-provider/:channel'])
      app.put(path, async (request) => {
        const { channel = '' } = request.params as { channel?: string };
        script.set(channel, bodyOf(request.body));
        return { channels: Object.fromEntries(script.scenes) };
      });
    app.delete('/dev/test-provider/messages', async (_request, reply) => {
      mailbox.clear();
      return reply.code(204).send();
    });
  },
  { name: 'dev-test-provider' },
);

/** @throws NotifyError invalid_argument */
function bodyOf(body: unknown): object {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body;
  throw invalidArgument([
    { field: '', description: 'the body must be a JSON object such as {"next":"fail"}' },
  ]);
}
