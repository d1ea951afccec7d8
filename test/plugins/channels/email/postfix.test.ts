/** The SMTP provider against Postfix, as Debian packages it; the mails are read back from the mailbox. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SmtpProvider } from '../../../../plugins/channels/email/smtp/smtp-provider.ts';
import { DeliveryError } from '../../../../src/core/channel.ts';
import { deliveryId, emailMessage, privateText, sendOptions } from '../../../support/email-message.ts';
import { eventually } from '../../../support/eventually.ts';
import { noPostfix, type Postfix, startPostfix } from '../../../support/postfix.ts';
import { selfSigned } from '../../../support/self-signed.ts';

describe('a mail by Postfix', { skip: noPostfix() }, () => {
  let postfix: Postfix;
  let smtp: SmtpProvider;
  const closers: (() => Promise<void>)[] = [];

  after(async () => {
    for (const close of closers.reverse()) await close();
  });

  before(async () => {
    postfix = await startPostfix({ after: (task) => closers.push(task) });
    smtp = new SmtpProvider(
      { name: 'Größe', address: 'notify@example.com' },
      {
        host: '127.0.0.1',
        port: postfix.port,
        tls: 'required',
        login: undefined,
        trust: { ca: selfSigned.cert, servername: 'hook.test' },
      },
    );
    closers.push(() => smtp.close());
  });

  it('arrives over STARTTLS, whole', async () => {
    const rendered = {
      subject: 'Unterwegs 📦 – مرحبا',
      html: '<p>日本語</p>',
      body: `日本語\n.\n${'x'.repeat(3_000)}`,
    };
    await smtp.send(emailMessage({ rendered }), sendOptions());
    const mail = await eventually('the mail', async () => (await postfix.mails())[0]);
    assert.equal(mail.subject, rendered.subject);
    assert.equal(mail.text?.trim(), rendered.body);
    assert.equal(String(mail.html).trim(), rendered.html);
    assert.equal(mail.from?.value[0]?.name, 'Größe');
    assert.equal(mail.messageId, `<${deliveryId}@example.com>`);
    // RFC 3848: over TLS
    assert.match(String(mail.headers.get('received')), / with ESMTPS /);
  });

  for (const [destination, content, code] of [
    ['bob@example.org', {}, 'destination_gone'],
    ['alice@elsewhere.test', {}, 'smtp_554'],
    ['alice@example.org', { body: 'x'.repeat(300_000) }, 'smtp_552'],
  ] as const)
    it(`is refused with ${code} for good`, async () => {
      await assert.rejects(
        smtp.send(emailMessage({ destination, content }), sendOptions()),
        (error) =>
          error instanceof DeliveryError &&
          error.code === code &&
          !error.retryable &&
          !error.message.includes(privateText) &&
          !error.message.includes(destination),
      );
    });
});
