import { codes, DeliveryError } from '../../../src/core/channel.ts';
import { EgressRefused } from '../../../src/core/egress/refused.ts';

/**
 * Why there was no answer. The error itself is not kept as the cause, since it names hosts and addresses that are part of a
 * destination: the word that the system has for it tells enough.
 */
export function transportError(error: unknown, signal: AbortSignal): DeliveryError {
  if (error instanceof DeliveryError) return error;
  if (error instanceof EgressRefused)
    return new DeliveryError(error.code, error.message, { retryable: false });
  const word = wordOf(error);
  const failed = (code: string, text: string) =>
    new DeliveryError(code, `${text} (${word})`, { retryable: true });
  if (signal.aborted) return failed(codes.interrupted, 'the attempt was aborted before the answer came');
  if (/^(ENOTFOUND|EAI_\w+)$/.test(word)) return failed(codes.dnsFailed, 'the host name cannot be resolved');
  if (/TIMEOUT|^ETIMEDOUT$/.test(word)) return failed(codes.timeout, 'no answer came in time');
  if (isTls(word)) return failed(codes.tlsFailed, 'TLS could not be set up');
  return failed(codes.connectionFailed, 'the connection could not be made, or ended before the answer came');
}

/** OpenSSL's and Node's words for certificates and handshakes (nodejs.org/api/tls.html, "X509 certificate error codes"). */
const isTls = (word: string): boolean =>
  /CERT|^ERR_(TLS|SSL)|^EPROTO$|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH/.test(word);

function wordOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : error.name;
}
