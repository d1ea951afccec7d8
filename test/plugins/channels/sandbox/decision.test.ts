import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Sandbox } from '../../../../plugins/channels/sandbox/decision.ts';
import { SandboxedProvider } from '../../../../plugins/channels/sandbox/sandboxed-provider.ts';
import type { Channel } from '../../../../src/core/glossary.ts';
import { emailMessage, sendOptions } from '../../../support/email-message.ts';
import { FakeProvider } from '../../../support/fake-provider.ts';

const allow = ['qa.team@example.com', '@staging.example', '+15550100', 'https://hooks.example/qa'];
const redirect = { kind: 'redirect', to: { email: 'inbox@qa.example', sms: '+15550177' } } as const;

/** Where a provider of a channel is asked to send to, behind the sandbox. */
async function reached(
  channel: Channel,
  destination: string,
  rule: ConstructorParameters<typeof Sandbox>[0],
) {
  const provider = new FakeProvider(channel);
  const sandboxed = new SandboxedProvider(provider, new Sandbox(rule, allow), () => {});
  await sandboxed.send(emailMessage({ destination }), sendOptions());
  return provider.destinations;
}

/** Texts near what is allowed: letters in another case or of another script, spaces, and more put before, between and behind. */
const near = fc
  .tuple(
    fc.constantFrom(...allow, 'someone@staging.example', 'alice@example.org', '+15550199'),
    fc.array(
      fc.record({
        at: fc.oneof(fc.constantFrom(0, 8, 60), fc.nat(40)),
        drop: fc.constantFrom(0, 0, 0, 1),
        put: fc.oneof(
          fc.constantFrom(...' \t\n\0\u00a0\u200b,;<>"():@.%'),
          fc.constantFrom(...'\u212a\u017f\u0130\u00ad\uff20\u3002'),
          { weight: 3, arbitrary: fc.constantFrom('x', 'not-', 'sub.', '@example.com', 'alice@example.org') },
          fc.string({ maxLength: 3, unit: 'binary' }),
        ),
      }),
      { maxLength: 3 },
    ),
    fc.nat(),
  )
  .map(([address, edits, cases]) => {
    const mixed = [...address]
      .map((letter, i) => ((cases >> (i % 30)) & 1 ? letter.toUpperCase() : letter))
      .join('');
    return edits.reduce((text, { at, drop, put }) => text.slice(0, at) + put + text.slice(at + drop), mixed);
  });

/**
 * Whether a text is one of the mail addresses allowed and nothing else, said in another way than the sandbox does: by ASCII alone,
 * with spaces around at most, and exactly one @.
 */
function mayHaveMail(text: string): boolean {
  const [, local = '', domain = ''] = /^\s*([!-~]+)@([a-z.-]+)\s*$/i.exec(text) ?? [];
  const isOne = /^[\w!#$%&'*+/=?^`{|}~.-]+$/.test(local);
  return (
    isOne &&
    (domain.toLowerCase() === 'staging.example' || /^qa\.team@example\.com$/i.test(`${local}@${domain}`))
  );
}

describe('what the sandbox lets out', () => {
  it('is mail to who is allowed, whatever the spelling, and no other', async () => {
    let [out, kept] = [0, 0];
    await fc.assert(
      fc.asyncProperty(near, async (destination) => {
        const went = await reached('email', destination, { kind: 'capture' });
        if (went.length === 0) kept += 1;
        else out += 1;
        assert.ok(went.length === 0 || mayHaveMail(destination));
        if (mayHaveMail(destination) && isPlain(destination)) assert.deepEqual(went, [destination]);
      }),
      { numRuns: 10_000 },
    );
    assert.ok(out > 100 && kept > 100, `${out} went out, ${kept} were kept`);
  });

  it('is to the sandbox’s own address alone where it redirects', async () => {
    await fc.assert(
      fc.asyncProperty(near, async (destination) => {
        const [went, ...more] = await reached('email', destination, redirect);
        assert.equal(more.length, 0);
        assert.ok(
          went === 'inbox@qa.example' ||
            (await reached('email', destination, { kind: 'capture' })).length === 1,
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it('is on other channels what is written exactly so', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<Channel>('sms', 'whatsapp', 'web_push', 'mobile_push', 'webhook', 'chat'),
        near,
        async (channel, destination) => {
          const went = await reached(channel, destination, { kind: 'capture' });
          assert.deepEqual(went, channel !== 'web_push' && allow.includes(destination) ? [destination] : []);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('is to a browser whose endpoint is allowed', async () => {
    const to = (endpoint: unknown) => reached('web_push', JSON.stringify({ endpoint }), { kind: 'capture' });
    assert.equal((await to('https://hooks.example/qa')).length, 1);
    for (const other of [
      'https://hooks.example/QA',
      'https://hooks.example/qa/x',
      ['https://hooks.example/qa'],
      null,
    ])
      assert.deepEqual(await to(other), []);
    for (const text of ['', 'null', '{', '"https://hooks.example/qa"', 'https://hooks.example/qa'])
      assert.deepEqual(await reached('web_push', text, { kind: 'capture' }), []);
  });
});

/** What is certainly an address: the rest the sandbox may keep. */
const isPlain = (text: string): boolean => /^\s*[a-z][a-z0-9]*(\.[a-z0-9]+)*@[a-z.]+\s*$/i.test(text);
