import { objectOf } from '../json.ts';

/** A message of Amazon SNS over HTTP (https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html). */
export interface SnsMessage {
  readonly Type: 'Notification' | 'SubscriptionConfirmation' | 'UnsubscribeConfirmation';
  readonly TopicArn: string;
  readonly Message: string;
  /** ISO 8601. */
  readonly Timestamp: string;
  /** 1: SHA-1; 2: SHA-256. */
  readonly SignatureVersion: string;
  /** base64. */
  readonly Signature: string;
  readonly SigningCertURL: string;
  /** Of the two confirmations. */
  readonly SubscribeURL: string;
  /** What the signature is of. */
  readonly signed: string;
}

/** The members that are signed, in their order (https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html). */
const ofNotification = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'];
const ofConfirmation = ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'];
const signedMembers: Readonly<Record<string, readonly string[]>> = {
  Notification: ofNotification,
  SubscriptionConfirmation: ofConfirmation,
  UnsubscribeConfirmation: ofConfirmation,
};

/** Reads a body. @returns undefined: it is no message of SNS, or one that is not signed */
export function snsMessageOf(body: Buffer): SnsMessage | undefined {
  const members = objectOf(body.toString('utf8')) ?? {};
  const text = (name: string): string => {
    const value = members[name];
    return typeof value === 'string' ? value : '';
  };
  const names = Object.hasOwn(signedMembers, text('Type')) ? signedMembers[text('Type')] : undefined;
  if (names === undefined || text('Signature') === '') return undefined;
  const signed = names
    .filter((name) => name !== 'Subject' || typeof members.Subject === 'string')
    .map((name) => `${name}\n${text(name)}\n`);
  return {
    Type: text('Type') as SnsMessage['Type'],
    TopicArn: text('TopicArn'),
    Message: text('Message'),
    Timestamp: text('Timestamp'),
    SignatureVersion: text('SignatureVersion'),
    Signature: text('Signature'),
    SigningCertURL: text('SigningCertURL'),
    SubscribeURL: text('SubscribeURL'),
    signed: signed.join(''),
  };
}

/**
 * The host that speaks for a topic's region, and nothing else.
 * @param topicArn arn:<partition>:sns:<region>:<account>:<name>
 */
export function snsHost(topicArn: string): string {
  const [, partition, , region] = topicArn.split(':');
  return `sns.${region}.amazonaws.com${partition === 'aws-cn' ? '.cn' : ''}`;
}
