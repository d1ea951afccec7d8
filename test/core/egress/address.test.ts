import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AddressRules } from '../../../src/core/egress/address.ts';
import { EgressRefused } from '../../../src/core/egress/refused.ts';
import { egressTarget } from '../../../src/core/egress/target.ts';

const strict = new AddressRules([]);

/** IPv4 networks that are nobody's public server (IANA IPv4 special-purpose address registry; multicast; class E). */
const privateNetworks = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['168.63.129.16', 32],
] as const;

const numberOf = (text: string): number => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const dotted = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
const hexPair = (value: number): string => `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
const isPrivate = (value: number): boolean =>
  privateNetworks.some(([network, bits]) => {
    const size = 2 ** (32 - bits);
    return Math.floor(value / size) === Math.floor(numberOf(network) / size);
  });

const anyIPv4 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const privateIPv4 = fc
  .constantFrom(...privateNetworks)
  .chain(([network, bits]) => fc.nat(2 ** (32 - bits) - 1).map((offset) => numberOf(network) + offset));
const publicIPv4 = fc
  .constantFrom('8.8.8.8', '1.1.1.1', '93.184.216.34', '172.32.0.1', '100.128.0.1')
  .map(numberOf);

/** The ways to write one IPv4 address that a URL or a resolver may come with. */
const notations = (value: number): string[] => {
  const parts = dotted(value).split('.').map(Number);
  const [a = 0, b = 0] = parts;
  return [
    dotted(value),
    String(value),
    `0x${value.toString(16)}`,
    parts.map((part) => `0${part.toString(8)}`).join('.'),
    parts.map((part) => `0x${part.toString(16)}`).join('.'),
    `${a}.${value % 2 ** 24}`,
    `${a}.${b}.${value % 2 ** 16}`,
  ];
};

describe('the addresses that a chosen URL may lead to', () => {
  it('are no private IPv4 ones, in whatever notation, in a URL or from a resolver', () => {
    fc.assert(
      fc.property(privateIPv4, (value) => {
        for (const text of notations(value)) {
          assert.equal(strict.reachOf(text), 'private', text);
          assert.throws(
            () => egressTarget(`https://${text}/`, { addresses: strict, allowHttp: false }),
            (error) => error instanceof EgressRefused && error.code === 'destination_refused',
            text,
          );
        }
      }),
    );
  });

  it('are public IPv4 ones', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          publicIPv4,
          anyIPv4.filter((value) => !isPrivate(value)),
        ),
        (value) => {
          const text = dotted(value);
          // two anycast ranges of the DNS and of AMT relays are special too
          if (/^192\.(88\.99|175\.48|31\.196|52\.193)\./.test(text)) return;
          assert.equal(strict.reachOf(text), 'public', text);
        },
      ),
    );
  });

  it('are judged by the IPv4 address that an IPv6 one carries', () => {
    fc.assert(
      fc.property(anyIPv4, (value) => {
        const plain = strict.reachOf(dotted(value));
        for (const text of [
          `::ffff:${dotted(value)}`,
          `::ffff:${hexPair(value)}`,
          `0:0:0:0:0:ffff:${hexPair(value)}`,
          `64:ff9b::${hexPair(value)}`,
        ])
          assert.equal(strict.reachOf(text), plain, text);
        for (const text of [
          `2002:${hexPair(value)}::1`,
          `::${hexPair(value)}`,
          `::ffff:0:${hexPair(value)}`,
          `64:ff9b:1::${hexPair(value)}`,
          `2001:0:4136:e378:8000:63bf:${hexPair(value)}`,
        ])
          assert.equal(strict.reachOf(text), 'private', text);
      }),
    );
  });

  it('are global unicast in IPv6, without the special ranges', () => {
    for (const text of ['2606:4700:4700::1111', '2a00:1450:4001:82a::200e', '2001:4860:4860::8888'])
      assert.equal(strict.reachOf(text), 'public', text);
    for (const text of [
      '::',
      '::1',
      'fe80::1',
      'fe80::1%eth0',
      'febf::1',
      'fc00::1',
      'fd00:ec2::254',
      'fec0::1',
      'ff02::1',
      '100::1',
      '2001:db8::1',
      '2001:2::1',
      '2001:10::1',
      '2001:20::1',
      '3fff::1',
      '4000::1',
      '5f00::1',
    ])
      assert.equal(strict.reachOf(text), 'private', text);
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const first = /^([0-9a-f]{1,4}):/i.exec(text)?.[1];
        if (first !== undefined && !/^[23]...$/i.test(first) && strict.reachOf(text) === 'public')
          assert.match(text, /^(0*64:0*ff9b|(0*:)+0*ffff:)/i);
      }),
    );
  });

  it('are none at all where the text is no address', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (!/^[0-9a-fx.:%]*$/i.test(text)) assert.equal(strict.reachOf(text), 'private');
      }),
    );
  });

  it('are those that the operator allows, and no others', () => {
    const rules = new AddressRules(['10.1.0.0/16', '127.0.0.1/32', 'fd00:1::/32']);
    for (const text of ['10.1.2.3', '127.0.0.1', '::ffff:10.1.2.3', 'fd00:1::5', '64:ff9b::a01:203'])
      assert.equal(rules.reachOf(text), 'allowed', text);
    for (const text of ['10.2.0.1', '127.0.0.2', '::ffff:10.2.0.1', 'fd00:2::5', '::1'])
      assert.equal(rules.reachOf(text), 'private', text);
  });
});

describe('a URL that somebody else chose', () => {
  const target = (text: string, allowHttp = false, allow: string[] = []) =>
    egressTarget(text, { addresses: new AddressRules(allow), allowHttp });
  const codeOf = (read: () => unknown): string => {
    try {
      read();
    } catch (error) {
      assert.ok(error instanceof EgressRefused);
      return error.code;
    }
    return 'taken';
  };

  it('is https, with nothing in it that a parser would drop', () => {
    assert.equal(target('https://example.com:8443/a?b=c').host, 'example.com:8443');
    for (const text of [
      'http://example.com/',
      'ftp://example.com/',
      'file:///etc/passwd',
      'example.com',
      '',
      'https://',
      'https://u@example.com/',
      'https://u:p@example.com/',
      'https://exa\nmple.com/',
      'https://example.com/\t',
      ' https://example.com/',
    ])
      assert.equal(
        codeOf(() => target(text)),
        'invalid_destination',
        text,
      );
  });

  it('may be http only to an address that the operator allows', () => {
    assert.equal(
      codeOf(() => target('http://127.0.0.1/', true, ['127.0.0.0/8'])),
      'taken',
    );
    assert.equal(
      codeOf(() => target('http://8.8.8.8/', true, ['127.0.0.0/8'])),
      'destination_refused',
    );
    assert.equal(
      codeOf(() => target('http://127.0.0.1/', false, ['127.0.0.0/8'])),
      'invalid_destination',
    );
    assert.equal(
      codeOf(() => target('https://127.0.0.1/', false, ['127.0.0.0/8'])),
      'taken',
    );
  });
});
