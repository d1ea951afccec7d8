import { codes, type DeliveryError } from '../../../../src/core/channel.ts';
import { credentials, later, misconfigured, never } from '../refusals.ts';

/** What nodemailer says of an error (https://nodemailer.com/errors, and as seen running with 10.6). */
interface SmtpError {
  /** EAUTH, ETLS, ESOCKET … */
  readonly code?: string;
  /** What it was before nodemailer gave it a code of its own: ECONNRESET, CERT_HAS_EXPIRED … */
  readonly originalCode?: string;
  readonly responseCode?: number;
  readonly command?: string;
  /** The server's line, which is never passed on: it quotes addresses, and filters quote the message. */
  readonly response?: string;
}

/**
 * What became of a mail, by RFC 5321 §4.2 (reply codes), RFC 3463 (enhanced codes), RFC 4954 §6 (AUTH) and RFC 3207 (STARTTLS).
 * The first row that fits counts:
 *
 * | what | outcome |
 * |---|---|
 * | 530, 534, 535, 538, no way to log in offered | credentials_rejected, waits |
 * | STARTTLS missing or refused, a certificate that is not trusted | tls_failed, waits |
 * | greeting or EHLO refused; any 4yz, 503 | smtp_<reply>, waits |
 * | 5yz to MAIL FROM but 552 and 5.3.z (size) | provider_misconfigured, waits: the sender is not one that the login may use |
 * | 550, 551, 553 with 5.1.z to RCPT TO | destination_gone, for good |
 * | other 5yz | smtp_<reply>, for good |
 * | no connection, no name, time-outs, a closed socket | connection_failed, dns_failed, timeout, waits |
 */
export function smtpRefusal(error: unknown, signal: AbortSignal): DeliveryError {
  const known = (error ?? {}) as SmtpError;
  if (signal.aborted)
    return later(codes.interrupted, 'the attempt was aborted before the mail server answered');
  return known.responseCode === undefined ? ofConnection(known) : ofReply(known, known.responseCode);
}

/** RFC 4954 §6, and 538 of RFC 2554. */
const loginReplies = [530, 534, 535, 538];
/** RFC 5321 §4.2.3: mailbox unavailable, user not local, mailbox name not allowed. */
const noMailboxReplies = [550, 551, 553];

function ofReply({ code, command, response }: SmtpError, reply: number): DeliveryError {
  const enhanced = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b/.exec(response ?? '')?.[1] ?? '';
  // only words of this list: a command carries addresses and secrets
  const at = /^(MAIL FROM|RCPT TO|DATA|AUTH|STARTTLS|EHLO|HELO|CONN)/.exec(command ?? '')?.[1];
  const to = at === undefined || at === 'CONN' ? '' : ` to ${at}`;
  const said = `the mail server answered ${[reply, enhanced].filter(Boolean).join(' ')}${to}`;
  if (loginReplies.includes(reply) || (code === 'EAUTH' && reply >= 500 && reply !== 503))
    return credentials(`${said}: it does not take the login`);
  if (code === 'ETLS') return later(codes.tlsFailed, `${said}: no TLS`);
  const isBeforeMail = code === 'EPROTOCOL' || at === 'CONN' || at === 'EHLO' || at === 'HELO';
  if (reply < 500 || reply === 503 || isBeforeMail) return later(`smtp_${reply}`, said);
  if (at === 'MAIL FROM' && reply !== 552 && !enhanced.startsWith('5.3.'))
    return misconfigured(`${said}: it does not take mail from this sender`);
  if (at === 'RCPT TO' && noMailboxReplies.includes(reply) && enhanced.startsWith('5.1.'))
    return never(codes.destinationGone, `${said}: there is no such mailbox`);
  return never(`smtp_${reply}`, said);
}

/** Node's words for certificates that are not trusted (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
const certificate = /CERT|ERR_TLS|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_SSL|EPROTO$/;

function ofConnection({ code = '', originalCode = '' }: SmtpError): DeliveryError {
  if (code === 'EDNS') return later(codes.dnsFailed, "the mail server's name cannot be resolved");
  if (code === 'ETLS' || certificate.test(originalCode) || certificate.test(code))
    return later(
      codes.tlsFailed,
      'the connection to the mail server cannot be secured: no STARTTLS, or a certificate that is not trusted',
    );
  if (code === 'EAUTH' || code === 'ENOAUTH')
    return credentials('the mail server offers no way to log in that this client has');
  if (code === 'ETIMEDOUT' || originalCode === 'ETIMEDOUT')
    return later(codes.timeout, 'the mail server did not answer in time');
  // without a reply: the address was not sent, since it is none
  if (code === 'EENVELOPE')
    return never(codes.invalidDestination, 'the destination is not one email address');
  return later(
    codes.connectionFailed,
    'the connection to the mail server failed, or ended before it answered',
  );
}
