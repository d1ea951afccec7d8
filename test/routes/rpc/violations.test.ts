import assert from 'node:assert/strict';
import { it } from 'node:test';
import { build, call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { logFile } from '../../support/log.ts';

it('one answer names what is unknown, what is blank and what is not supported, each once', async (t) => {
  const { url } = await build(t);
  const { status, body } = await call(url.internal, procedures.notify, {
    tenantId: ' ',
    channels: ['DELIVERY_CHANNEL_SMSS', 'DELIVERY_CHANNEL_UNSPECIFIED'],
    template: 'welcome',
  });
  assert.equal(status, 400);
  assert.equal(body.code, 'invalid_argument');
  const message = String(body.message);
  for (const field of ['tenant_id', 'notification_id', 'user_ids', 'channels[0]', 'template'])
    assert.equal(message.split(`${field}: `).length, 2, `${field} once in: ${message}`);
  assert.doesNotMatch(message, /SMSS|welcome/);
});

it('the log line of a call names the tenant that a producer names', async (t) => {
  const log = logFile(t);
  const { url } = await build(t, {}, { logger: log.logger });
  await call(url.internal, procedures.notify, { tenantId: 'acme', notificationId: 'n', userIds: ['u'] });
  await eventually('the line is written', () => log.lines('rpc').some((line) => line.tenant_id === 'acme'));
});
