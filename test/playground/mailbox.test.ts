import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { launchChromium, noChromium } from '../support/browser.ts';
import { build, call, procedures } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { MailServer } from '../support/mail-server.ts';
import { TestProviderClient, withTestProvider } from '../support/test-provider.ts';
import type { PlaygroundPage } from './page.ts';
import { openTab } from './tab.ts';

describe('the test mailbox in a browser', { skip: noChromium }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  /** The service with test providers, and its playground in a tab. */
  async function open(
    t: TestContext,
    env: Readonly<Record<string, string>> = withTestProvider(),
    options: BrowserContextOptions = {},
  ) {
    const service = await build(t, {
      NOTIFY_RETRY_BASE: '1s',
      NOTIFY_RETRY_MAX: '1s',
      // what stalls is not waited for
      NOTIFY_SHUTDOWN_TIMEOUT: '2s',
      ...env,
    });
    const page = await openTab(t, browser, options);
    await page.open(service.url.client);
    await page.waitLive();
    return { service, page, provider: new TestProviderClient(service.url.client) };
  }

  const short = async (page: PlaygroundPage) =>
    (await page.mail()).map(({ channel, destination, outcome }) => [channel, destination, outcome]);

  it('shows what is sent from the page, by the channels that are chosen', async (t) => {
    const { page } = await open(t);
    await page.chooseWays({ in_app: '', email: 'alice@example.com', sms: '' });
    const answer = await page.send({ title: 'Your order has shipped', body: 'It arrives on Friday.' });
    assert.deepEqual([answer.delivered, answer.pending, answer.failed], [3, 0, 0]);
    assert.deepEqual(answer.results, [
      'you: in-app, delivered',
      'you: email, delivered',
      'you: sms, delivered',
    ]);
    await page.waitForMail('alice@example.com', 'accepted');
    await page.waitForMail('+15550100', 'accepted');
    assert.deepEqual(await short(page), [
      ['sms', '+15550100', 'accepted'],
      ['email', 'alice@example.com', 'accepted'],
    ]);
    const [, email] = await page.mail();
    assert.deepEqual([email?.title, email?.body], ['Your order has shipped', 'It arrives on Friday.']);
    const attempts = await page.attemptsOf('alice@example.com', 'delivered');
    assert.equal(attempts.length, 1);
    assert.match(attempts[0] ?? '', /delivered after \d+ ms$/);
    assert.match(await page.code('curl'), /"DELIVERY_CHANNEL_SMS"[\s\S]*"email": "alice@example.com"/);
  });

  it('shows an outage: pending while it lasts, and delivered once it is over', async (t) => {
    const { page } = await open(t);
    await page.setScene('email', 'fail');
    await eventually('the page says so', async () => (await page.outageText()) === 'Email: failing for now');
    await page.chooseWays({ email: 'alice@example.com', sms: '+15550100' });
    const answer = await page.send({ title: 'through an outage' });
    assert.deepEqual([answer.delivered, answer.pending], [1, 1]);
    assert.match(
      answer.results[0] ?? '',
      /^you: email, pending \(test_failure\), tried again at \d\d:\d\d:\d\d$/,
    );
    await page.waitForMail('alice@example.com', 'failed');
    await page.waitForMail('+15550100', 'accepted');
    const [failed] = await page.attemptsOf('alice@example.com', 'pending');
    assert.match(failed ?? '', /failed \(test_failure\) after \d+ ms · the test provider was told to fail/);

    await page.at('outages-off').click();
    await page.waitForMail('alice@example.com', 'accepted');
    assert.equal(await page.outageText(), '');
    const attempts = await page.attemptsOf('alice@example.com', 'delivered');
    assert.ok(attempts.length > 1);
    assert.match(attempts.at(-1) ?? '', /delivered after/);
    const mail = await page.mail();
    assert.equal(mail.length, 2, 'a retry is no second letter');
    assert.equal(mail.find(({ channel }) => channel === 'email')?.tries, attempts.length);
  });

  it('says what became of each message by a word in its address', async (t) => {
    const { page } = await open(t, { ...withTestProvider(), NOTIFY_SYNC_ATTEMPT_TIMEOUT: '200ms' });
    await page.chooseWays({
      email: 'alice+refuse@example.com',
      chat: 'room+stall',
      mobile_push: 'phone+slow2s',
    });
    const answer = await page.send({ title: 'three ways' });
    assert.deepEqual(answer.results, [
      'you: email, failed (test_refusal)',
      'you: mobile-push, pending, under way',
      'you: chat, pending, under way',
    ]);
    await page.waitForMail('alice+refuse@example.com', 'refused');
    await page.waitForMail('room+stall', 'waiting');
    await page.waitForMail('phone+slow2s', 'accepted');
    await page.attemptsOf('alice+refuse@example.com', 'failed');
  });

  it('shows what others send, and what they set, and can be emptied', async (t) => {
    const { service, page, provider } = await open(t, withTestProvider('email'));
    await call(service.url.internal, procedures.notify, {
      tenantId: 'other',
      notificationId: 'n',
      userIds: ['bob'],
      addresses: { bob: { byChannel: { email: 'bob@example.com' } } },
      title: '<img src=x onerror="alert(1)">',
    });
    await page.waitForMail('bob@example.com', 'accepted');
    assert.equal((await page.mail())[0]?.title, '<img src=x onerror="alert(1)">');
    await page.attemptsOf('bob@example.com', 'delivered');
    await provider.set('email', 'refuse', 2);
    await eventually(
      'the page says so',
      async () => (await page.outageText()) === 'Email: refused for good, the next 2',
    );
    await page.at('mail-clear').click();
    await page.at('mail-none').waitFor();
    assert.deepEqual([await page.mail(), await provider.messages()], [[], []]);
  });

  it('has a choice of the channels that have a provider, and asks for one at least', async (t) => {
    const { page } = await open(t, withTestProvider('sms'));
    assert.deepEqual(await page.at('send-by').locator('label').allTextContents(), [
      'In-app',
      'SMS',
      'Phone number (SMS)',
    ]);
    assert.equal(await page.at('address-sms').isVisible(), false);
    await page.chooseWays({});
    await page.at('send').click();
    await eventually(
      'it asks',
      async () => (await page.noteText()) === 'Choose at least one channel to send by.',
    );
    assert.deepEqual(await page.items(), []);
  });

  it('is not there without a test provider, and the page says how to get one', async (t) => {
    const { page } = await open(t, {});
    assert.equal(await page.at('mailbox').isVisible(), false);
    assert.equal(await page.at('send-by').isVisible(), false);
    assert.ok(await page.page.getByText('npm run dev -- --test-providers').isVisible());
  });

  it('shows what the sandbox keeps of a real provider', async (t) => {
    const mail = await MailServer.listen(t);
    const smtp = {
      NOTIFY_EMAIL_PROVIDER: 'smtp',
      NOTIFY_EMAIL_FROM: 'notify@example.com',
      NOTIFY_EMAIL_SMTP_HOST: '127.0.0.1',
      NOTIFY_EMAIL_SMTP_PORT: String(mail.port),
    };
    const { page } = await open(t, { ...smtp, NOTIFY_SANDBOX: 'capture' });
    assert.equal(await page.at('outage').isVisible(), false);
    assert.equal(await page.at('mail-nobody').textContent(), 'everything is kept here');
    await page.chooseWays({ in_app: '', email: 'alice@example.com' });
    const { results } = await page.send({ title: 'Your order has shipped', body: 'It arrives on Friday.' });
    assert.deepEqual(results, ['you: in-app, delivered', 'you: email, delivered (sandbox_captured)']);
    await page.waitForMail('alice@example.com', 'captured');
    const [letter] = await page.mail();
    assert.deepEqual([letter?.title, letter?.body], ['Your order has shipped', 'It arrives on Friday.']);
    const [attempt] = await page.attemptsOf('alice@example.com', 'delivered');
    assert.match(attempt ?? '', /delivered \(sandbox_captured\) after \d+ ms · the sandbox kept it/);
    assert.equal(mail.connections, 0);
  });

  it('works by keyboard, on a phone', async (t) => {
    const { page } = await open(t, withTestProvider('email'), { viewport: { width: 375, height: 800 } });
    const { keyboard } = page.page;
    await page.at('way-email').focus();
    await keyboard.press('Space');
    await keyboard.press('Tab');
    await keyboard.type('alice+refuse@example.com');
    await keyboard.press('Enter');
    await page.waitForMail('alice+refuse@example.com', 'refused');
    await page.at('outage-next').focus();
    await keyboard.press('Tab');
    await keyboard.press('Tab');
    await keyboard.press('Enter');
    await page.at('outages-off').waitFor();
    await page.at('outages-off').focus();
    await keyboard.press('Enter');
    await eventually('the outage is over', async () => (await page.outageText()) === '');
    assert.equal(await page.page.evaluate('document.activeElement.id'), 'mailbox-heading');
    await page.mailTo('alice+refuse@example.com').locator('summary').focus();
    await keyboard.press('Enter');
    await page.attemptsOf('alice+refuse@example.com', 'failed');
    const widths = await page.page.evaluate<[number, number]>(
      '[document.scrollingElement.scrollWidth, innerWidth]',
    );
    assert.deepEqual(widths, [375, 375]);
  });
});
