import { createHash, createHmac } from 'node:crypto';

/**
 * The headers that prove a GET to Azure
 * (https://learn.microsoft.com/rest/api/communication/authentication#access-key-authentication). The SDK signs what it sends itself, and has
 * no call that only asks.
 * @param key base64
 */
export function signedGet(url: URL, key: string, nowMs: number): Readonly<Record<string, string>> {
  const date = new Date(nowMs).toUTCString();
  const hash = createHash('sha256').update('').digest('base64');
  const text = `GET\n${url.pathname}${url.search}\n${date};${url.host};${hash}`;
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(text, 'utf8').digest('base64');
  return {
    'x-ms-date': date,
    'x-ms-content-sha256': hash,
    authorization: `HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=${signature}`,
  };
}
