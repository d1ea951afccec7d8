import { randomBytes } from 'node:crypto';
import fp from 'fastify-plugin';
import { maxMessageBytes } from '../rpc/protocol/request-body.ts';
import { notifyJson } from '../rpc/services/notification-internal.ts';
import { readPageFiles } from './files.ts';

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

/** With every file: nothing is kept, so that a page never runs with the script of another version. */
const headers = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
};

/** GET / in dev mode: a page to try the service with. What it sends goes through the same code as Notify. */
export default fp<{ facts: () => PlaygroundFacts }>(
  async (app, { facts }) => {
    const files = await readPageFiles();
    const page = files.get('page.html')?.text ?? '';
    const notify = notifyJson(app);

    app.get('/', async (_request, reply) => {
      const nonce = randomBytes(16).toString('base64');
      const boot = JSON.stringify(facts()).replaceAll('<', '\\u003c');
      return reply
        .headers({ ...headers, 'content-type': 'text/html; charset=utf-8' })
        .header(
          'content-security-policy',
          `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; worker-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
        )
        .send(page.replaceAll('__NONCE__', nonce).replace('__BOOT__', () => boot));
    });

    for (const [name, { type, text }] of files)
      if (name !== 'page.html')
        app.get(`/playground/${name}`, async (_request, reply) =>
          reply
            .headers({ ...headers, 'content-type': type, 'content-security-policy': "default-src 'none'" })
            .send(text),
        );

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
