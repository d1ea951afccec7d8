/**
 * How email providers' refusals are told, in the same words for all of them. No text quotes a provider's answer: answers hold
 * addresses, and now and then a part of the message. No cause is kept: the SDKs' errors hold requests, keys included.
 */
import { codes, DeliveryError } from '../../../src/core/channel.ts';

/** How long to wait, in milliseconds, where nothing changes before somebody does something: a key, a verification, a quota. */
export const operatorPauseMs = 60_000;

/** The provider does not take our key or password. Every mail fails alike, so the mails wait for the right one. */
export const credentials = (text: string): DeliveryError =>
  later(codes.credentialsRejected, text, operatorPauseMs);

/** Something has to be set up, at the provider or here: a sender, an account. Every mail fails alike, and waits. */
export const misconfigured = (text: string): DeliveryError =>
  later(codes.misconfigured, text, operatorPauseMs);

/** Not now. */
export const later = (code: string, text: string, retryAfterMs?: number): DeliveryError =>
  new DeliveryError(code, text, { retryable: true, ...(retryAfterMs !== undefined && { retryAfterMs }) });

/** Never: this mail, to this address. */
export const never = (code: string, text: string): DeliveryError =>
  new DeliveryError(code, text, { retryable: false });
