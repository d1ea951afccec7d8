import { execFile, execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ParsedMail, simpleParser } from 'mailparser';
import { selfSigned } from './self-signed.ts';

const run = promisify(execFile);

/** Why Postfix cannot run here; false where it can. */
export function noPostfix(): string | false {
  if (spawnSync('postfix', ['-h'], { stdio: 'ignore' }).error) return 'Postfix is not installed';
  return process.getuid?.() === 0 ? false : 'Postfix is started by root alone';
}

/** A whole Postfix of its own, with mailboxes for alice@example.org and nobody else. */
export interface Postfix {
  readonly port: number;
  /** The mails in alice's mailbox. */
  mails(): Promise<ParsedMail[]>;
}

/** Starts one, with STARTTLS by a certificate for hook.test. It stops with the test. */
export async function startPostfix(t: { after(task: () => Promise<void>): void }): Promise<Postfix> {
  const folder = mkdtempSync(join(tmpdir(), 'notify-postfix-'));
  const at = (name: string) => join(folder, name);
  const id = (flag: string, user: string) => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));
  chmodSync(folder, 0o755);
  for (const name of ['conf', 'queue', 'data', 'mail']) mkdirSync(at(name));
  chownSync(at('data'), id('-u', 'postfix'), id('-g', 'postfix'));
  const [uid, gid] = [id('-u', 'nobody'), id('-g', 'nobody')];
  chownSync(at('mail'), uid, gid);
  writeFileSync(at('conf/tls.pem'), selfSigned.key + selfSigned.cert, { mode: 0o600 });
  const port = await freePort();
  writeFileSync(
    at('conf/main.cf'),
    `compatibility_level = 3.6
queue_directory = ${at('queue')}
data_directory = ${at('data')}
maillog_file = ${at('data/mail.log')}
maillog_file_prefixes = ${folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.test
mydestination =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.org
virtual_mailbox_base = ${at('mail')}
virtual_mailbox_maps = inline:{ { alice@example.org = alice/ } }
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_chain_files = ${at('conf/tls.pem')}
message_size_limit = 200000
`,
  );
  writeFileSync(
    at('conf/master.cf'),
    `127.0.0.1:${port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
`,
  );
  t.after(async () => {
    await run('postfix', ['-c', at('conf'), 'stop']).catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  });
  await run('postfix', ['-c', at('conf'), 'start']);
  const box = at('mail/alice/new');
  const mails = () => {
    const files = existsSync(box) ? readdirSync(box).sort() : [];
    return Promise.all(files.map((name) => simpleParser(readFileSync(join(box, name)))));
  };
  return { port, mails };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
