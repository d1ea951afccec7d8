import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { MailServer, type Received, readMail, smtpError } from './mail-server.ts';
import type { Fault, ProviderServer, Wire } from './provider-server.ts';
import { selfSigned } from './self-signed.ts';

/** What the server says, and to which command; to those before it, it says yes. */
export interface SmtpReply {
  readonly at: 'AUTH' | 'MAIL FROM' | 'RCPT TO' | 'DATA';
  readonly reply: number;
  /** With its enhanced code. */
  readonly text: string;
}

export const smtpAccepted: SmtpReply = { at: 'DATA', reply: 250, text: '2.0.0 queued as 4711' };

/** A real mail server whose answers a test writes. It takes any login, and AUTH without TLS. Its url is smtp: or smtps:. */
export class ScriptedMailServer implements ProviderServer<Received, SmtpReply> {
  readonly received: Received[] = [];
  readonly url: string;
  readonly #mail: MailServer;
  readonly #played: { answer: SmtpReply | Fault<SmtpReply> };

  static async listen(t: Pick<TestContext, 'after'>, isTls = false): Promise<ScriptedMailServer> {
    const played: { answer: SmtpReply | Fault<SmtpReply> } = { answer: smtpAccepted };
    const refusal = (at: SmtpReply['at']): Error | null => {
      const { answer } = played;
      if (typeof answer === 'string' || !('at' in answer) || answer.at !== at || answer.reply < 300)
        return null;
      return smtpError(answer.reply, answer.text);
    };
    const mail = await MailServer.listen(t, {
      ...(isTls && { ...selfSigned, secure: true }),
      allowInsecureAuth: true,
      onAuth({ username }, _session, done) {
        const refused = refusal('AUTH');
        if (refused === null) done(null, { user: username });
        else done(refused);
      },
      onMailFrom: (_address, _session, done) => done(refusal('MAIL FROM')),
      onRcptTo: (_address, _session, done) => done(refusal('RCPT TO')),
      onData(stream, session, done) {
        void readMail(stream, session).then((received) => {
          scripted.received.push(received);
          const { answer } = played;
          if (answer === 'hang') return;
          const socket = [...mail.open].find(({ remotePort }) => remotePort === session.remotePort);
          if (answer === 'reset') socket?.resetAndDestroy();
          else if ('at' in answer) done(refusal('DATA'), answer.text);
          else sayHalf(socket, answer);
        }, done);
      },
    });
    const scripted = new ScriptedMailServer(mail, played, isTls);
    return scripted;
  }

  private constructor(mail: MailServer, played: { answer: SmtpReply | Fault<SmtpReply> }, isTls: boolean) {
    this.#mail = mail;
    this.#played = played;
    this.url = `${isTls ? 'smtps' : 'smtp'}://127.0.0.1:${mail.port}`;
  }

  get connections(): number {
    return this.#mail.connections;
  }

  play(answer: SmtpReply | Fault<SmtpReply>): void {
    this.#played.answer = answer;
  }

  close(): Promise<void> {
    return this.#mail.close();
  }
}

/** The beginning of a line that never ends. */
function sayHalf(
  socket: Socket | undefined,
  answer: { readonly half_body: SmtpReply } | { readonly hang_body: SmtpReply },
): void {
  const isHalf = 'half_body' in answer;
  const { reply, text } = isHalf ? answer.half_body : answer.hang_body;
  socket?.write(`${reply} ${text}`, () => {
    if (isHalf) socket.destroySoon();
  });
}

/** SMTP, in the clear or with TLS from the first byte. */
export const smtp: Wire<Received, SmtpReply> = {
  listen: (t, isTls) => ScriptedMailServer.listen(t, isTls),
  headerOf: ({ mail }, name) => mail.headers.get(name),
  busy: (text) => ({ reply: { at: 'DATA', reply: 451, text: `4.3.0 ${text}` }, code: 'smtp_451' }),
  lacks: {
    retryAfter: 'SMTP has no word for it',
    earlyVerdict: 'a reply of SMTP counts when its line has ended',
  },
};
