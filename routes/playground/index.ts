import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import fp from 'fastify-plugin';

const pageFile = new URL('./playground.html', import.meta.url);

/** GET / in dev mode: a page to try the service with. */
export default fp<{ internalPort: () => number }>(
  async (app, { internalPort }) => {
    const page = await readFile(pageFile, 'utf8');
    app.get('/', async (_request, reply) => {
      const nonce = randomBytes(16).toString('base64');
      const boot = JSON.stringify({ internalPort: internalPort() });
      return reply
        .header('content-type', 'text/html; charset=utf-8')
        .header('cache-control', 'no-store')
        .header(
          'content-security-policy',
          `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
        )
        .send(page.replaceAll('__NONCE__', nonce).replace('__BOOT__', boot));
    });
  },
  { name: 'playground' },
);
