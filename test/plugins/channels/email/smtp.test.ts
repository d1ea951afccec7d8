/** The SMTP provider against a real server, over real sockets. */
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import type { SMTPServerOptions } from 'smtp-server';
import { type SmtpConnection, smtpConnection } from '../../../../plugins/channels/email/smtp/connection.ts';
import { SmtpProvider, type SmtpTimeouts } from '../../../../plugins/channels/email/smtp/smtp-provider.ts';
import { DeliveryError } from '../../../../src/core/channel.ts';
import { channelConformance } from '../../../conformance/channel.ts';
import { emailCase } from '../../../support/email-conformance.ts';
import { deliveryId, emailMessage, privateText, sendOptions } from '../../../support/email-message.ts';
import { eventually } from '../../../support/eventually.ts';
import { MailServer, smtpError } from '../../../support/mail-server.ts';
import { type SmtpReply, smtpAccepted, smtp as smtpWire } from '../../../support/scripted-mail-server.ts';
import { selfSigned } from '../../../support/self-signed.ts';

const from = { name: 'Notify', address: 'notify@example.com' };
const password = 'secret-4711';
const trust = { ca: selfSigned.cert, servername: 'hook.test' };

/** Replies to one command, whose text quotes what it must not be quoted from. */
const answers = (
  code: (reply: number) => string,
  at: SmtpReply['at'],
  texts: readonly (readonly [reply: number, text: string])[],
) =>
  texts.map(([reply, text]) => ({
    when: `${reply} ${text} to ${at}`,
    reply: { at, reply, text: `${text} <alice@example.org>: ${privateText}` },
    code: code(reply),
  }));
const byReply = (reply: number) => `smtp_${reply}`;

channelConformance(
  'smtp',
  {
    ...emailCase,
    open(_t, base) {
      const { hostname, port, protocol } = new URL(base);
      const isTls = protocol !== 'smtp:';
      return new SmtpProvider(from, {
        host: hostname,
        port: Number(port || 25),
        tls: isTls ? 'implicit' : 'local',
        login: { user: 'notify', pass: password },
      });
    },
    accepted: () => ({ reply: smtpAccepted, id: ({ mail }) => mail.messageId ?? '' }),
    understand({ from: sender, to, user, mail }) {
      assert.deepEqual([sender, user, to], ['notify@example.com', 'notify', ['alice@example.org']]);
      // the parser tells lines by \n
      const text = (mail.text ?? '').replaceAll('\n', '\r\n');
      return { destination: to[0] ?? '', text: `${mail.subject}\n${text}` };
    },
    repeatKey: ({ mail }) => mail.messageId,
    permanent: [
      ...answers(byReply, 'RCPT TO', [
        [550, '5.7.1 relaying denied'],
        [550, 'no'],
        [552, '5.2.2 mailbox full'],
      ]),
      ...answers(byReply, 'MAIL FROM', [[552, '5.3.4 too large']]),
      ...answers(byReply, 'DATA', [
        [552, '5.3.4 too large'],
        [554, '5.7.1 spam'],
      ]),
    ],
    transient: [
      ...answers(byReply, 'MAIL FROM', [[451, '4.3.0 busy']]),
      ...answers(byReply, 'RCPT TO', [
        [421, '4.3.2 shutting down'],
        [450, '4.2.0 greylisted'],
        [451, '4.7.1 try again later'],
        [452, '4.2.2 mailbox full'],
      ]),
      ...answers(byReply, 'DATA', [
        [452, '4.3.1 disk full'],
        [503, '5.5.1 bad sequence'],
      ]),
      ...answers(() => 'provider_misconfigured', 'MAIL FROM', [
        [550, '5.7.1 not your address'],
        [553, '5.1.8 no such sender'],
      ]),
      ...answers(byReply, 'AUTH', [[454, '4.7.0 later']]),
    ],
    credentials: [
      ...answers(() => 'credentials_rejected', 'AUTH', [[535, '5.7.8 wrong password']]),
      ...answers(() => 'credentials_rejected', 'MAIL FROM', [[530, '5.7.0 STARTTLS first']]),
      ...answers(() => 'credentials_rejected', 'RCPT TO', [[530, '5.7.0 log in first']]),
    ],
    dead: answers(() => 'destination_gone', 'RCPT TO', [
      [550, '5.1.1 no such user'],
      [551, '5.1.6 moved'],
      [553, '5.1.3 no such name'],
    ]),
    connections: 5,
    secrets: [password, 'alice@example.org'],
  },
  smtpWire,
);

/** A provider for a port of this machine. It closes with the test. */
function provider(
  t: TestContext,
  port: number,
  over: Partial<SmtpConnection> = {},
  timeouts: Partial<SmtpTimeouts> = {},
): SmtpProvider {
  const connection = { host: '127.0.0.1', port, tls: 'offered' as const, login: undefined, ...over };
  const smtp = new SmtpProvider(from, connection, timeouts);
  t.after(() => smtp.close());
  return smtp;
}

async function ground(
  t: TestContext,
  options: SMTPServerOptions = {},
  over: Partial<SmtpConnection> = {},
  timeouts: Partial<SmtpTimeouts> = {},
) {
  const server = await MailServer.listen(t, options);
  return { server, smtp: provider(t, server.port, over, timeouts) };
}

/** How a send fails, which must not tell what is private. */
async function failure(sending: Promise<unknown>): Promise<DeliveryError> {
  const error: unknown = await sending.then(
    () => assert.fail('it was taken'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof DeliveryError, inspect(error));
  const shown = inspect(error, { depth: 20, showHidden: true });
  for (const secret of [privateText, password, 'alice@example.org', 'quoted by the server'])
    assert.ok(!shown.includes(secret), `the error tells ${secret}: ${shown}`);
  return error;
}

const verdict = ({ code, retryable }: DeliveryError) => [code, retryable];

describe('a mail by SMTP', () => {
  it('arrives as text, from the title and the body', async (t) => {
    const { server, smtp } = await ground(t);
    const { providerMessageId } = await smtp.send(emailMessage(), sendOptions());
    const [{ from: sender, to, mail, secure } = assert.fail()] = server.received;
    assert.deepEqual([sender, to, secure], ['notify@example.com', ['alice@example.org'], false]);
    assert.equal(mail.subject, 'Your order is on its way');
    assert.equal(mail.text?.trim(), privateText);
    assert.equal(mail.html, false);
    assert.equal(mail.from?.text, '"Notify" <notify@example.com>');
    assert.equal(mail.messageId, `<${deliveryId}@example.com>`);
    assert.equal(mail.headers.get('auto-submitted'), 'auto-generated');
    assert.equal(mail.headers.get('list-unsubscribe'), undefined, 'nothing to point to yet');
    assert.equal(providerMessageId, mail.messageId);
  });

  it('has the same Message-ID whenever it is tried', async (t) => {
    const { server, smtp } = await ground(t);
    server.refuse = () => smtpError(451, 'later');
    assert.deepEqual(verdict(await failure(smtp.send(emailMessage(), sendOptions()))), ['smtp_451', true]);
    server.refuse = () => undefined;
    await smtp.send(emailMessage(), sendOptions());
    await smtp.send(emailMessage(), sendOptions());
    const ids = server.received.map(({ mail }) => mail.messageId);
    assert.deepEqual(ids, [`<${deliveryId}@example.com>`, `<${deliveryId}@example.com>`]);
  });

  it('has HTML, another subject and a reply address where they are given', async (t) => {
    const { server, smtp } = await ground(t);
    const rendered = {
      subject: 'Bestellung № 42 – unterwegs 📦',
      body: 'Schöne Grüße',
      html: '<p>Schöne <b>Grüße</b></p>',
      replyTo: 'Support <help@example.com>',
    };
    await smtp.send(emailMessage({ rendered }), sendOptions());
    const [{ mail, raw } = assert.fail()] = server.received;
    assert.equal(mail.subject, rendered.subject);
    assert.equal(mail.text?.trim(), rendered.body);
    assert.equal(String(mail.html).trim(), rendered.html);
    assert.equal(mail.replyTo?.text, '"Support" <help@example.com>');
    assert.match(raw, /^Subject: =\?UTF-8\?[BQ]\?/im, 'encoded');
    assert.doesNotMatch(raw.split('\r\n\r\n')[0] ?? '', /[^\t\r\n -~]/, 'a head in ASCII');
  });

  it('ends with the links that an inbox shows as buttons', async (t) => {
    const { server, smtp } = await ground(t);
    const actions = [{ label: 'Track it', url: 'https://shop.example/t/42' }];
    await smtp.send(
      emailMessage({ content: { body: 'Soon.', actionUrl: 'https://shop.example/o/42', actions } }),
      sendOptions(),
    );
    assert.equal(
      server.received[0]?.mail.text?.trim(),
      'Soon.\n\nhttps://shop.example/o/42\nTrack it: https://shop.example/t/42',
    );
  });

  it('takes every script, long lines and lone dots unchanged', async (t) => {
    const { server, smtp } = await ground(t);
    const bodies = ['مرحبا\n.\n..\n日本語 👩‍👩‍👧‍👦', 'x'.repeat(50_000), ' led and trailed ', 'a\n\nb'];
    for (const body of bodies)
      await smtp.send(emailMessage({ content: { body, title: body.slice(0, 200) } }), sendOptions());
    for (const [i, { mail }] of server.received.entries())
      assert.equal(mail.text?.replace(/\n$/, ''), bodies[i]);
  });

  it('lets no line break of a field become a header, a recipient or a command', async (t) => {
    const { server, smtp } = await ground(t);
    const evil = 'x\r\nBcc: eve@example.org\r\n\r\nRCPT TO:<eve@example.org>\r\n.\r\nQUIT\r\n';
    await smtp.send(
      emailMessage({
        content: { title: evil, body: evil, actionUrl: evil, notificationId: evil, type: evil },
        rendered: { replyTo: `Eve <eve@example.org>\r\nBcc: eve@example.org` },
      }),
      sendOptions(),
    );
    const [{ to, mail } = assert.fail()] = server.received;
    assert.equal(server.received.length, 1);
    assert.deepEqual(to, ['alice@example.org']);
    assert.equal(mail.bcc, undefined);
    assert.equal(mail.replyTo, undefined);
    assert.match(mail.subject ?? '', /^x Bcc: eve@example.org /);
  });

  it('goes to domains of every script by their ASCII form', async (t) => {
    const { server, smtp } = await ground(t);
    await smtp.send(emailMessage({ destination: "o'hara+tag@bücher.example" }), sendOptions());
    assert.match(server.received[0]?.raw ?? '', /^To: o'hara\+tag@xn--bcher-kva\.example\r$/m);
  });
});

describe('what an SMTP server answers', () => {
  it('is told by its code and its command, in our own words', async (t) => {
    const { smtp } = await ground(t, {
      onRcptTo: (_address, _session, done) => done(smtpError(452, '4.2.2 quoted by the server')),
    });
    const { message } = await failure(smtp.send(emailMessage(), sendOptions()));
    assert.equal(message, 'the mail server answered 452 4.2.2 to RCPT TO');
  });

  it('a refusal leaves the connection to the next mail', async (t) => {
    let refuse = true;
    const { server, smtp } = await ground(t, {
      onRcptTo: (_address, _session, done) => done(refuse ? smtpError(550, '5.1.1 no') : null),
    });
    await failure(smtp.send(emailMessage(), sendOptions()));
    refuse = false;
    await smtp.send(emailMessage(), sendOptions());
    assert.equal(server.received.length, 1);
  });
});

describe('a login by SMTP', () => {
  const login = { user: 'notify', pass: password };
  const onAuth: NonNullable<SMTPServerOptions['onAuth']> = ({ username, password: given }, _session, done) =>
    given === password ? done(null, { user: username }) : done(smtpError(535, '5.7.8 wrong password'));

  it('is made over TLS', async (t) => {
    const { server, smtp } = await ground(
      t,
      { ...selfSigned, onAuth, authOptional: false },
      { login, trust, tls: 'required' },
    );
    await smtp.send(emailMessage(), sendOptions());
    const [{ user, secure } = assert.fail()] = server.received;
    assert.deepEqual([user, secure], ['notify', true]);
  });

  it('that is refused waits for the right password', async (t) => {
    const { smtp } = await ground(t, { ...selfSigned, onAuth }, { login: { ...login, pass: 'old' }, trust });
    const error = await failure(smtp.send(emailMessage(), sendOptions()));
    assert.deepEqual(verdict(error), ['credentials_rejected', true]);
    assert.ok((error.retryAfterMs ?? 0) >= 60_000);
  });

  it('is not left out where the server offers none', async (t) => {
    const { server, smtp } = await ground(t, selfSigned, { login, trust });
    assert.deepEqual(verdict(await failure(smtp.send(emailMessage(), sendOptions()))), [
      'credentials_rejected',
      true,
    ]);
    assert.equal(server.received.length, 0);
  });
});

describe('TLS by SMTP', () => {
  it('is used where it is offered', async (t) => {
    const { server, smtp } = await ground(t, selfSigned, { trust });
    await smtp.send(emailMessage(), sendOptions());
    assert.equal(server.received[0]?.secure, true);
  });

  it('begins at once where it is implicit', async (t) => {
    const { server, smtp } = await ground(t, { ...selfSigned, secure: true }, { tls: 'implicit', trust });
    await smtp.send(emailMessage(), sendOptions());
    assert.equal(server.received[0]?.secure, true);
  });

  for (const tls of ['offered', 'required', 'implicit'] as const)
    it(`${tls}, sends nothing over a certificate that nobody signed`, async (t) => {
      const { server, smtp } = await ground(t, { ...selfSigned, secure: tls === 'implicit' }, { tls });
      assert.deepEqual(verdict(await failure(smtp.send(emailMessage(), sendOptions()))), [
        'tls_failed',
        true,
      ]);
      assert.equal(server.received.length, 0);
    });

  it('required, sends nothing where there is none', async (t) => {
    const { server, smtp } = await ground(t, {}, { tls: 'required' });
    assert.deepEqual(verdict(await failure(smtp.send(emailMessage(), sendOptions()))), ['tls_failed', true]);
    assert.equal(server.received.length, 0);
  });

  it('on this machine, takes any certificate', async (t) => {
    const { server, smtp } = await ground(t, selfSigned, { tls: 'local' });
    await smtp.send(emailMessage(), sendOptions());
    assert.equal(server.received[0]?.secure, true);
  });

  it('follows from the port, the host and the login', () => {
    const tls = (host: string, port: number, password?: string) =>
      smtpConnection({ host, port, username: password && 'notify', password }).tls;
    assert.equal(tls('mail.example.com', 465), 'implicit');
    assert.equal(tls('localhost', 465), 'implicit');
    assert.equal(tls('mail.example.com', 587, password), 'required');
    assert.equal(tls('10.0.0.7', 2525, password), 'required');
    assert.equal(tls('mail.example.com', 25), 'offered');
    assert.equal(tls('127.example.com', 25), 'offered');
    assert.equal(tls('127.0.0.1', 25), 'local');
    assert.equal(tls('::1', 25), 'local');
    assert.equal(tls('localhost', 1025, password), 'local');
  });
});

describe('connections by SMTP', () => {
  it('are made anew when the server has closed them', async (t) => {
    const { server, smtp } = await ground(t);
    await smtp.send(emailMessage(), sendOptions());
    for (const socket of server.open) socket.destroy();
    await eventually('closed', () => server.open.size === 0);
    await eventually('a mail', async () => {
      await smtp.send(emailMessage(), sendOptions());
      return true;
    });
    assert.equal(server.received.length, 2);
  });

  it('end with the provider', async (t) => {
    const { server, smtp } = await ground(t);
    await smtp.send(emailMessage(), sendOptions());
    await smtp.close();
    await eventually('closed', () => server.open.size === 0);
  });

  for (const [when, speak, code] of [
    ['is silent', () => {}, 'timeout'],
    ['hangs up', (socket: Socket) => socket.destroy(), 'connection_failed'],
    [
      'speaks something else',
      (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      'connection_failed',
    ],
    ['has no service', (socket: Socket) => socket.end('554 no SMTP service here\r\n'), 'smtp_554'],
    ['is busy', (socket: Socket) => socket.end('421 4.3.2 too many connections\r\n'), 'smtp_421'],
  ] as const)
    it(`to a server that ${when} are tried again later`, async (t) => {
      const server = await speaking(t, speak);
      const smtp = provider(t, server, {}, code === 'timeout' ? { greetingTimeout: 200 } : {});
      const error = await failure(smtp.send(emailMessage(), sendOptions()));
      assert.deepEqual(verdict(error), [code, true], error.message);
    });

  it('end with the attempt, and the next mail gets its own', async (t) => {
    let silent = true;
    const { server, smtp } = await ground(t, {
      onRcptTo: (_address, _session, done) => {
        if (!silent) done();
        reached();
      },
    });
    let reached = () => {};
    const asked = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const abort = new AbortController();
    const failed = failure(smtp.send(emailMessage(), sendOptions(abort.signal)));
    await asked;
    abort.abort();
    assert.deepEqual(verdict(await failed), ['interrupted', true]);
    silent = false;
    await smtp.send(emailMessage(), sendOptions());
    assert.equal(server.received.length, 1);
    const early = failure(smtp.send(emailMessage(), sendOptions(AbortSignal.abort())));
    assert.deepEqual(verdict(await early), ['interrupted', true]);
  });
});

/** A port of this machine that says something to whoever connects. */
async function speaking(t: TestContext, speak: (socket: Socket) => unknown): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    speak(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
