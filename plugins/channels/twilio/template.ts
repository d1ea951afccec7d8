import { codes, DeliveryError } from '../../../src/core/channel.ts';

/** An approved template of WhatsApp's, as Twilio takes it (www.twilio.com/docs/content/send-templates-created-with-the-content-template-builder). */
export interface Template {
  readonly contentSid: string;
  /** JSON: texts by the placeholder's name. */
  readonly contentVariables?: string;
}

/**
 * The template that a notification's data names: `content_sid`, with `content_variables` as an object of texts, numbers and booleans.
 * @param data a JSON object as text
 * @returns undefined: it names none
 * @throws DeliveryError message_refused where it names one in another form
 */
export function templateOf(data: string | undefined): Template | undefined {
  if (data === undefined) return undefined;
  const { content_sid: contentSid, content_variables: variables } = JSON.parse(data) as Record<
    string,
    unknown
  >;
  if (contentSid === undefined || contentSid === null || contentSid === '') return undefined;
  if (typeof contentSid !== 'string' || !/^HX[0-9a-fA-F]{32}$/.test(contentSid))
    throw wrong('data.content_sid is no content SID of Twilio: HX and 32 hexadecimal digits');
  if (variables === undefined || variables === null) return { contentSid };
  if (typeof variables !== 'object' || Array.isArray(variables))
    throw wrong('data.content_variables is no object with a text for each placeholder');
  const texts = Object.entries(variables).map(([name, value]) => {
    if (!['string', 'number', 'boolean'].includes(typeof value))
      throw wrong('data.content_variables holds something else than texts, numbers and booleans');
    return [name, String(value)] as const;
  });
  return { contentSid, contentVariables: JSON.stringify(Object.fromEntries(texts)) };
}

const wrong = (text: string): DeliveryError =>
  new DeliveryError(codes.messageRefused, text, { retryable: false });
