/** The receivers of docs/channels/webhook.md, as they stand there, on webhooks of the service. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { freePort } from '../../src/dev/free-port.ts';
import { call } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { serve } from '../support/serve.ts';

const page = readFileSync(new URL('../../docs/channels/webhook.md', import.meta.url), 'utf8');
const master = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;

/** The program in a language, ready to run. */
interface Language {
  readonly fence: string;
  readonly file: string;
  /** How it is started; the last word is the file. */
  readonly command: readonly string[];
  readonly probe: readonly string[];
}

const languages: Readonly<Record<string, Language>> = {
  Node: { fence: 'js', file: 'receiver.mjs', command: [process.execPath], probe: [process.execPath, '-v'] },
  Python: { fence: 'python', file: 'receiver.py', command: ['python3'], probe: ['python3', '--version'] },
  Go: { fence: 'go', file: 'receiver.go', command: ['go', 'run'], probe: ['go', 'version'] },
};

for (const [name, language] of Object.entries(languages)) {
  const [program = '', ...words] = language.probe;
  const isThere = spawnSync(program, words).status === 0;
  describe(`the receiver in ${name}`, { skip: isThere ? false : `there is no ${program}` }, () => {
    it('takes what the service signs, and nothing else', { timeout: 120_000 }, async (t) => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}/hooks`;
      const service = await serve(t, {
        NOTIFY_WEBHOOK_SECRET: master,
        NOTIFY_EGRESS_ALLOW: '127.0.0.1',
        NOTIFY_EGRESS_ALLOW_HTTP: 'true',
      });
      const { body: answer } = await call(
        service.url.internal,
        'notify.v1.RecipientService/GetWebhookSecret',
        { tenantId: 'demo', url },
      );
      const secret = String(answer.secret);
      const printed = start(t, language, { WEBHOOK_SECRET: secret, PORT: String(port) });
      await eventually('the receiver', () => canConnect(port), 90_000);

      const { delivered } = (
        await call(service.url.internal, 'elloloop.notify.v1.NotificationInternalService/Notify', {
          tenantId: 'demo',
          notificationId: 'n',
          userIds: ['ada'],
          title: 'Größe 👟',
          type: 'order.shipped',
          channels: ['DELIVERY_CHANNEL_WEBHOOK'],
          addresses: { ada: { byChannel: { webhook: url } } },
        })
      ).body;
      assert.equal(delivered, 1);
      await eventually('its line', () => printed().includes('order.shipped Größe 👟'));

      const body = '{"type":"t","data":{"title":"x"}}';
      const seconds = Math.floor(Date.now() / 1000);
      const post = async (signer: Webhook, at: number, over: Record<string, string> = {}, sent = body) => {
        const headers = {
          'webhook-id': 'msg',
          'webhook-timestamp': String(at),
          'webhook-signature': signer.sign('msg', new Date(at * 1000), body),
          ...over,
        };
        return (await fetch(url, { method: 'POST', headers, body: sent })).status;
      };
      const ours = new Webhook(secret);
      const other = new Webhook(master);
      assert.equal(await post(ours, seconds), 204);
      const right = ours.sign('msg', new Date(seconds * 1000), body);
      const wrong = other.sign('msg', new Date(seconds * 1000), body);
      assert.equal(
        await post(ours, seconds, { 'webhook-signature': `${wrong} ${right}` }),
        204,
        'one of two',
      );
      assert.equal(await post(other, seconds), 401, 'the key of another');
      assert.equal(await post(ours, seconds - 301), 401, 'too old');
      assert.equal(await post(ours, seconds + 330), 401, 'too new');
      assert.equal(await post(ours, seconds, {}, `${body} `), 401, 'another body');
      assert.equal(await post(ours, seconds, { 'webhook-id': 'other' }), 401, 'another id');
      assert.equal(await post(ours, seconds, { 'webhook-signature': '' }), 401, 'no signature');
      assert.equal(await post(ours, seconds, { 'webhook-timestamp': 'soon' }), 401, 'no time');
    });
  });
}

/** Starts a receiver; it ends with the test. @returns what it has printed */
function start(
  t: TestContext,
  { fence, file, command }: Language,
  env: Record<string, string>,
): () => string {
  const folder = mkdtempSync(join(tmpdir(), 'notify-receiver-'));
  const [, program = ''] = new RegExp(`^\`\`\`${fence}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(page) ?? [];
  assert.ok(program.includes(file), `no program ${file}`);
  writeFileSync(join(folder, file), program);
  const [name = '', ...words] = command;
  // a group of its own: `go run` starts the program as a child
  const child = spawn(name, [...words, join(folder, file)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  t.after(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  return () => text;
}

const canConnect = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
