import { isIP } from 'node:net';
import type { Config } from '../../../../src/config.ts';

/** How a mail server is reached. */
export interface SmtpConnection {
  readonly host: string;
  readonly port: number;
  readonly tls: SmtpTls;
  readonly login: { readonly user: string; readonly pass: string } | undefined;
  /** How many stay open at most; undefined: the usual number. */
  readonly connections?: number | undefined;
  /** A root certificate (PEM) and the name to expect, for tests; NODE_EXTRA_CA_CERTS does it for a process. */
  readonly trust?: { readonly ca: string; readonly servername: string };
}

/**
 * - implicit: from the first byte (RFC 8314 §3.3);
 * - required: STARTTLS, or nothing is sent;
 * - offered: STARTTLS where the server has it, and with a certificate that is right;
 * - local: STARTTLS where the server has it, with any certificate, since the bytes never leave the machine.
 */
export type SmtpTls = 'implicit' | 'required' | 'offered' | 'local';

/** The port on which TLS begins at once (RFC 8314 §7.3). */
const implicitTlsPort = 465;

export type SmtpSettings = NonNullable<NonNullable<Config['email']>['smtp']>;

/** There is no variable for TLS: the port and the login say it. A password never crosses a network in the clear. */
export function smtpConnection({ host, port, username, password }: SmtpSettings): SmtpConnection {
  const login =
    username === undefined || password === undefined ? undefined : { user: username, pass: password };
  return { host, port, login, tls: tlsOf(host, port, login !== undefined) };
}

function tlsOf(host: string, port: number, hasLogin: boolean): SmtpTls {
  if (port === implicitTlsPort) return 'implicit';
  if (isLoopback(host)) return 'local';
  return hasLogin ? 'required' : 'offered';
}

function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith('127.');
  return host === '::1' || host.toLowerCase() === 'localhost';
}
