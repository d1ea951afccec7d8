import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { describe, it, type TestContext } from 'node:test';
import { request } from 'undici';
import { guardedAgent, type Resolve } from '../../../plugins/egress/guarded-agent.ts';
import { AddressRules } from '../../../src/core/egress/address.ts';
import { EgressRefused } from '../../../src/core/egress/refused.ts';
import { ScriptedServer } from '../../support/scripted-server.ts';
import { selfSigned } from '../../support/self-signed.ts';

const at = (...addresses: string[]): LookupAddress[] =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

/** An agent over names that the test decides, and how often each was asked for. */
function agentOf(t: TestContext, resolve: Resolve, allow: string[], allowHttp = true) {
  const asked: string[] = [];
  const agent = guardedAgent(
    { addresses: new AddressRules(allow), allowHttp },
    {
      ca: selfSigned.cert,
      resolve: (hostname) => {
        asked.push(hostname);
        return resolve(hostname);
      },
    },
  );
  t.after(() => agent.destroy());
  const get = async (url: string): Promise<number> => {
    const { statusCode, body } = await request(url, { dispatcher: agent });
    await body.dump();
    return statusCode;
  };
  return { get, asked };
}

const refused = (error: unknown): boolean =>
  error instanceof EgressRefused && error.code === 'destination_refused';

describe('a connection to where somebody else chose', () => {
  it('goes to the address that was checked, however the name resolves afterwards', async (t) => {
    const server = await ScriptedServer.listen(t, true);
    const answers = [at('127.0.0.1'), at('169.254.169.254')];
    const { get, asked } = agentOf(t, async () => answers.shift() ?? [], ['127.0.0.1/32']);
    // the certificate is checked against the name, which is also what the server is told
    assert.equal(await get(`https://hook.test:${server.port}/`), 200);
    assert.deepEqual(asked, ['hook.test']);
    assert.equal(server.only.headers.host, `hook.test:${server.port}`);
  });

  it('is not made when any address of the name is private', async (t) => {
    const server = await ScriptedServer.listen(t, true);
    for (const found of [
      at('127.0.0.1'),
      at('10.0.0.1'),
      at('8.8.8.8', '127.0.0.1'),
      at('2606:4700:4700::1111', '::1'),
      at('::ffff:127.0.0.1'),
      at('169.254.169.254'),
    ]) {
      const { get } = agentOf(t, async () => found, []);
      await assert.rejects(get(`https://hook.test:${server.port}/`), refused);
    }
    assert.equal(server.connections, 0);
  });

  it('is not made to a private address that the URL names itself', async (t) => {
    const server = await ScriptedServer.listen(t);
    const { get, asked } = agentOf(t, async () => [], []);
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', '[::1]', '[::ffff:127.0.0.1]'])
      for (const scheme of ['http', 'https'])
        await assert.rejects(get(`${scheme}://${host}:${server.port}/`), refused, host);
    assert.deepEqual(asked, []);
    assert.equal(server.connections, 0);
  });

  it('may be plain http only to what the operator allows', async (t) => {
    const server = await ScriptedServer.listen(t);
    const { get } = agentOf(t, async () => at('127.0.0.1'), ['127.0.0.1/32']);
    assert.equal(await get(`http://hook.test:${server.port}/`), 200);
    const open = agentOf(t, async () => at('8.8.8.8'), ['127.0.0.1/32']);
    await assert.rejects(open.get('http://hook.test/'), refused);
  });

  it('checks the certificate against the name', async (t) => {
    const server = await ScriptedServer.listen(t, true);
    const { get } = agentOf(t, async () => at('127.0.0.1'), ['127.0.0.1/32']);
    await assert.rejects(get(`https://other.test:${server.port}/`), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    assert.equal(server.received.length, 0);
  });

  it('does not follow a redirect', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => ({ status: 302, headers: { location: '/elsewhere' } });
    const { get } = agentOf(t, async () => [], ['127.0.0.1/32']);
    assert.equal(await get(`${server.url}/`), 302);
    assert.equal(server.received.length, 1);
  });

  it('fails as the resolver does, and where a name has no address', async (t) => {
    const none = agentOf(t, async () => [], []);
    await assert.rejects(none.get('https://hook.test/'), { code: 'ENOTFOUND' });
    const away = agentOf(t, async () => {
      throw Object.assign(new Error('try again'), { code: 'EAI_AGAIN' });
    }, []);
    await assert.rejects(away.get('https://hook.test/'), { code: 'EAI_AGAIN' });
  });
});
