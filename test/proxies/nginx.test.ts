/** Streams through a real nginx, with the configuration that docs/live.md shows. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { as } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { noNginx, startNginx } from '../support/nginx.ts';
import { serve } from '../support/serve.ts';
import { openEvents } from '../support/sse.ts';

const page = readFileSync(new URL('../../docs/live.md', import.meta.url), 'utf8');
const [, documented = ''] = /```nginx\n([\s\S]*?)```/.exec(page) ?? [];

describe('a stream through nginx', { skip: noNginx }, () => {
  for (const httpVersion of [1, 2] as const)
    it(`shows every event at once, resumes, and closes behind it (HTTP/${httpVersion} to the client)`, async (t) => {
      const service = await serve(t);
      assert.ok(documented.includes('http://notify:8080'));
      const nginx = await startNginx(t, documented.replace('http://notify:8080', service.url.client));
      const base = httpVersion === 1 ? nginx.http1 : nginx.http2;
      const open = async (headers: Record<string, string> = {}) => {
        const stream = await openEvents(base, { httpVersion, headers: { ...as('alice'), ...headers } });
        service.closeFirst(stream.close);
        return stream;
      };
      const stream = await open();
      assert.equal(stream.status, 200);
      await stream.next('inbox');
      // each is awaited before the next one is sent: a buffer on the way would keep the first
      for (const title of ['one', 'two', 'three']) {
        const { delivered } = await service.notify('alice', { title });
        assert.equal(delivered, 1);
        assert.equal(await stream.nextTitle(), title);
      }
      const large = 'x'.repeat(8_000);
      await service.notify('alice', { title: 'large', body: large });
      assert.equal((await stream.nextJson('notification')).body, large);

      const [first] = stream.events.filter(({ kind }) => kind === 'notification');
      const resumed = await open({ 'last-event-id': first?.id ?? '' });
      for (const title of ['two', 'three', 'large']) assert.equal(await resumed.nextTitle(), title);

      const openStreams = () => service.metric('notify_live_connections');
      assert.equal(await openStreams(), 2);
      resumed.close();
      stream.close();
      await eventually('the service has seen them go', async () => (await openStreams()) === 0);
    });

  it('tells a refusal with its retry, and 401 as it is', async (t) => {
    const service = await serve(t, { NOTIFY_LIVE_MAX_STREAMS: '1' });
    const nginx = await startNginx(t, documented.replace('http://notify:8080', service.url.client));
    const first = await openEvents(nginx.http1, { headers: as('alice') });
    service.closeFirst(first.close);
    await first.next('inbox');
    const refused = await openEvents(nginx.http1, { headers: as('bob') });
    assert.equal((await refused.nextJson('end')).reason, 'overloaded');
    assert.equal((await openEvents(nginx.http1, { headers: { authorization: 'Bearer x' } })).status, 401);
  });
});
