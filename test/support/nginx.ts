import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../../src/dev/free-port.ts';
import { eventually } from './eventually.ts';
import { TestProcess } from './process.ts';

/** A user's PATH may be without the folder of daemons. */
const command = existsSync('/usr/sbin/nginx') ? '/usr/sbin/nginx' : 'nginx';

/** The reason to pass as `skip`, where this machine has no nginx. */
export const noNginx: string | false =
  spawnSync(command, ['-v']).status === 0 ? false : 'nginx is not installed';

/**
 * Starts nginx for a test.
 * @param server what stands in its `server { … }`
 * @returns where it speaks HTTP/1.1, and HTTP/2 in cleartext
 */
export async function startNginx(
  t: Pick<TestContext, 'after'>,
  server: string,
): Promise<{ http1: string; http2: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'notify-nginx-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [one, two] = [await freePort(), await freePort()];
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off;
master_process off;
pid ${folder}/pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${one};
    listen 127.0.0.1:${two} http2;
    ${server}
  }
}
`,
  );
  const nginx = new TestProcess(
    t,
    command,
    ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
    {},
  );
  await eventually('nginx listens', async () => {
    if (nginx.hasExited) throw new Error(nginx.stderr);
    return (await fetch(`http://127.0.0.1:${one}/`)).status > 0;
  });
  return { http1: `http://127.0.0.1:${one}`, http2: `http://127.0.0.1:${two}` };
}
