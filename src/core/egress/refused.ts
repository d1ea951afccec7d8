import { codes } from '../channel.ts';

/** A URL that somebody else chose leads where this service does not connect to. The message quotes nothing of it. */
export class EgressRefused extends Error {
  override readonly name = 'EgressRefused';
  readonly code: typeof codes.invalidDestination | typeof codes.destinationRefused;

  constructor(code: EgressRefused['code'], message: string) {
    super(message);
    this.code = code;
  }

  static readonly privateAddress = (): EgressRefused =>
    new EgressRefused(
      codes.destinationRefused,
      'the destination leads to an address that is not public; NOTIFY_EGRESS_ALLOW can make an exception',
    );
}
