import { codes, DeliveryError } from '../../../src/core/channel.ts';

/**
 * A phone number as Twilio takes it: ITU-T E.164 with its plus, 6 to 15 digits.
 * @throws DeliveryError invalid_destination
 */
export function checkedNumber(destination: string): string {
  if (/^\+[1-9]\d{5,14}$/.test(destination)) return destination;
  throw new DeliveryError(
    codes.invalidDestination,
    'the destination is no phone number in international form: a plus and 6 to 15 digits, such as +15550100',
    { retryable: false },
  );
}
