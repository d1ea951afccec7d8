import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import type { Received, Reply } from './scripted-server.ts';

/** An account that Twilio knows. The SID has the form of a real one and belongs to nobody. */
export const account = {
  sid: `AC${'0'.repeat(31)}1`,
  token: 'the-auth-token-of-a-test',
};

/** The id of a message that was taken. */
export const messageSid = `SM${'a'.repeat(32)}`;

/** 201 with the message as Twilio describes it, shortened (docs: Message resource, "Create a Message"). */
export const created = (): Reply => ({
  status: 201,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    account_sid: account.sid,
    api_version: '2010-04-01',
    body: 'text',
    date_created: 'Thu, 24 Aug 2023 05:01:45 +0000',
    direction: 'outbound-api',
    error_code: null,
    error_message: null,
    num_segments: '1',
    sid: messageSid,
    status: 'queued',
    uri: `/2010-04-01/Accounts/${account.sid}/Messages/${messageSid}.json`,
  }),
});

/** An error as Twilio words it: its message quotes the number and the text. */
export const twilioError = (
  status: number,
  code: number,
  headers: Readonly<Record<string, string>> = {},
): Reply => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify({
    code,
    message: `The message 'the private text of 47114711' for +15550100123 was not taken`,
    more_info: `https://www.twilio.com/docs/errors/${code}`,
    status,
  }),
});

/**
 * X-Twilio-Signature as www.twilio.com/docs/usage/security describes it: the URL, then each parameter's name and value in the order of
 * the names, by HMAC-SHA1.
 */
export function twilioSignature(token: string, url: string, form: Readonly<Record<string, string>>): string {
  const names = Object.keys(form).sort();
  const text = url + names.map((name) => `${name}${form[name]}`).join('');
  return createHmac('sha1', token).update(text, 'utf8').digest('base64');
}

/** Reads a request as Twilio does. @returns the form @throws where Twilio would not know it as a message */
export function readForm({ method, path, headers, body }: Received): URLSearchParams {
  assert.equal(method, 'POST');
  assert.equal(path, `/2010-04-01/Accounts/${account.sid}/Messages.json`);
  assert.equal(headers['content-type'], 'application/x-www-form-urlencoded');
  const basic = Buffer.from(`${account.sid}:${account.token}`).toString('base64');
  assert.equal(headers.authorization, `Basic ${basic}`);
  return new URLSearchParams(body);
}
