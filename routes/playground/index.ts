import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import fp from 'fastify-plugin';
import { maxMessageBytes } from '../rpc/protocol/request-body.ts';
import { notifyJson } from '../rpc/services/notification-internal.ts';

const pageFile = new URL('./playground.html', import.meta.url);

/** What the page is told of the service it runs on. */
export interface PlaygroundFacts {
  readonly clientPort: number;
  readonly internalPort: number;
  /** Whether Notify asks for a token; the page never sees which. */
  readonly internalToken: boolean;
  /** The active provider's name, by channel that has one. */
  readonly providers: Readonly<Record<string, string>>;
  /** What the sandbox does; '' where there is none. */
  readonly sandbox: '' | 'capture' | 'redirect';
}

/** GET / in dev mode: a page to try the service with. What it sends goes through the same code as Notify. */
export default fp<{ facts: () => PlaygroundFacts }>(
  async (app, { facts }) => {
    const page = await readFile(pageFile, 'utf8');
    const notify = notifyJson(app);

    app.get('/', async (_request, reply) => {
      const nonce = randomBytes(16).toString('base64');
      const boot = JSON.stringify(facts()).replaceAll('<', '\\u003c');
      return reply
        .header('content-type', 'text/html; charset=utf-8')
        .header('cache-control', 'no-store')
        .header('referrer-policy', 'no-referrer')
        .header(
          'content-security-policy',
          `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
        )
        .send(page.replaceAll('__NONCE__', nonce).replace('__BOOT__', () => boot));
    });

    await app.register(async (scope) => {
      // JSON alone has a parser here: a foreign page may post any other type without asking by CORS first
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser(
        'application/json',
        { parseAs: 'buffer', bodyLimit: maxMessageBytes },
        (_request, body, done) => done(null, body),
      );
      scope.post('/playground/notify', async (request, reply) => {
        const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
        return reply.header('content-type', 'application/json').send(await notify(body));
      });
    });
  },
  { name: 'playground', dependencies: ['rpc'] },
);
