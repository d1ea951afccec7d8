import { DeliveryError } from '../../../src/core/channel.ts';

/** A message that cannot be sent, now or ever. */
export const refusal = (code: string, text: string): DeliveryError =>
  new DeliveryError(code, text, { retryable: false });
