import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { type FakeAmbient, fakeAmbient } from '../support/ambient.ts';
import { build, call, procedures, type Service } from '../support/build.ts';
import { jwt } from '../support/jwt.ts';

const secret = 'a secret of at least thirty-two bytes';
const production = {
  NOTIFY_AUTH_DEV_MODE: 'false',
  NOTIFY_AUTH_JWT_SECRET: secret,
  NOTIFY_INTERNAL_TOKEN: 'sesame',
};
const claims = { sub: 'alice', tenant: 'demo' };

/** A service whose recipients and backends a test asks in. */
interface Door {
  readonly service: Service;
  readonly ambient: FakeAmbient;
  /** Seconds of the fake clock, as JWTs count. */
  readonly nowS: number;
  /** The status and message that an Authorization header is answered with. */
  ask(authorization: string | undefined): Promise<{ status: number; message: unknown }>;
  /** Opens for a JWT with these claims. */
  lets(claims: Record<string, unknown>, key?: string): Promise<void>;
  refuses(claims: Record<string, unknown>, message: RegExp, key?: string): Promise<void>;
}

async function door(t: TestContext, env: Record<string, string> = production): Promise<Door> {
  const ambient = fakeAmbient();
  const service = await build(t, env, { ambient });
  const ask = async (authorization: string | undefined) => {
    const headers = authorization === undefined ? {} : { authorization };
    const { status, body } = await call(service.url.client, procedures.getNotifications, {}, headers);
    assert.ok(status === 200 || body.code === 'unauthenticated', JSON.stringify(body));
    return { status, message: body.message };
  };
  return {
    service,
    ambient,
    nowS: ambient.clock.now() / 1_000,
    ask,
    async lets(given, key = secret) {
      const { status, message } = await ask(`Bearer ${jwt(key, given)}`);
      assert.equal(status, 200, String(message));
    },
    async refuses(given, message, key = secret) {
      const answer = await ask(`Bearer ${jwt(key, given)}`);
      assert.equal(answer.status, 401, `let in with ${JSON.stringify(given)}`);
      assert.match(String(answer.message), message);
    },
  };
}

/** Sends something to a user, to be found by those who are taken for that user. */
async function put({ service }: Door, userId: string, tenantId: string): Promise<void> {
  const token = { 'x-notify-internal-token': 'sesame' };
  const request = { tenantId, notificationId: 'n', userIds: [userId], title: `${userId} of ${tenantId}` };
  assert.equal((await call(service.url.internal, procedures.notify, request, token)).status, 200);
}

/** The titles in the inbox that a token opens. */
async function titles({ service }: Door, authorization: string): Promise<string[]> {
  const { body } = await call(service.url.client, procedures.getNotifications, {}, { authorization });
  return (body.notifications as { title: string }[]).map(({ title }) => title);
}

describe('a dev token', () => {
  const dev = { NOTIFY_AUTH_DEV_MODE: 'true', NOTIFY_INTERNAL_TOKEN: 'sesame' };

  it('names the user and the tenant, and perhaps an email', async (t) => {
    const at = await door(t, dev);
    for (const [user, tenant] of [
      ['alice', 'demo'],
      ['alice', 'other'],
      ['bob', 'demo'],
    ] as const)
      await put(at, user, tenant);
    assert.deepEqual(await titles(at, 'Bearer dev:alice:demo'), ['alice of demo']);
    assert.deepEqual(await titles(at, 'Bearer dev:alice:other'), ['alice of other']);
    assert.deepEqual(await titles(at, 'Bearer dev:bob:demo:bob@a.org'), ['bob of demo']);
  });

  it('is refused where it is incomplete, with how to write it', async (t) => {
    const { ask } = await door(t, dev);
    for (const token of [
      'dev',
      'dev:alice',
      'dev:alice:',
      'dev::demo',
      'dev:alice:demo:alice@a.org:more',
      ':alice:demo',
      'DEV:alice:demo',
      'alice:demo',
      jwt(secret, claims),
    ]) {
      const { status, message } = await ask(`Bearer ${token}`);
      assert.equal(status, 401, token);
      assert.match(String(message), /^in dev mode the token is dev:<user>:<tenant>/);
    }
    assert.match(String((await ask(undefined)).message), /send Authorization: Bearer dev:<user>:<tenant>/);
  });

  it('is refused in production', async (t) => {
    const { ask } = await door(t);
    assert.equal((await ask('Bearer dev:alice:demo')).status, 401);
  });

  it('is refused in dev mode too, once there is a JWT secret', async (t) => {
    const { ask, lets } = await door(t, { ...dev, NOTIFY_AUTH_JWT_SECRET: secret });
    assert.equal((await ask('Bearer dev:alice:demo')).status, 401);
    await lets(claims);
  });
});

describe('the claims of a JWT', () => {
  it('sub is the user, and tenant, else tenant_id, the tenant', async (t) => {
    const at = await door(t);
    for (const [user, tenant] of [
      ['alice', 'demo'],
      ['alice', 'other'],
      ['bob', 'demo'],
    ] as const)
      await put(at, user, tenant);
    const seen = (given: Record<string, unknown>) => titles(at, `Bearer ${jwt(secret, given)}`);
    assert.deepEqual(await seen({ sub: 'alice', tenant: 'demo' }), ['alice of demo']);
    assert.deepEqual(await seen({ sub: 'alice', tenant_id: 'other' }), ['alice of other']);
    assert.deepEqual(await seen({ sub: 'bob', tenant: 'demo', tenant_id: 'other' }), ['bob of demo']);
    assert.deepEqual(await seen({ sub: 'bob', tenant: 'other', tenant_id: 'demo' }), []);
  });

  it('must name a user and a tenant, as text that is not empty', async (t) => {
    const { refuses, lets } = await door(t);
    for (const sub of [undefined, null, '', 7, true, ['alice'], { id: 'alice' }])
      await refuses({ tenant: 'demo', sub }, /^the token must carry sub/);
    for (const tenant of [undefined, null, '', 7, ['demo']]) {
      await refuses({ sub: 'alice', tenant }, /^the token must carry tenant or tenant_id/);
      await refuses({ sub: 'alice', tenant_id: tenant }, /^the token must carry tenant or tenant_id/);
    }
    await refuses({ sub: 'alice', tenant: 7, tenant_id: 'demo' }, /^the token must carry tenant/);
    await lets({ ...claims, email: 'alice@a.org', name: 'Alice', roles: ['a'] });
    await lets({ ...claims, email: 7 });
    for (const text of ['a\0b', 'a\ud800'])
      for (const key of ['sub', 'tenant']) await refuses({ ...claims, [key]: text }, /^the token must carry/);
  });

  it('exp ends it, with the leeway, also for a token that was let in before', async (t) => {
    const { nowS, ambient, lets, refuses } = await door(t);
    await lets({ ...claims, exp: nowS + 60 });
    await lets({ ...claims, exp: nowS - 29.999 });
    await refuses({ ...claims, exp: nowS - 30 }, /has expired/);
    await refuses({ ...claims, exp: 0 }, /has expired/);
    await refuses({ ...claims, exp: -1 }, /has expired/);
    await ambient.clock.advance(89_999);
    await lets({ ...claims, exp: nowS + 60 });
    await ambient.clock.advance(1);
    await refuses({ ...claims, exp: nowS + 60 }, /has expired/);
  });

  it('nbf begins it, with the leeway, also for a token that was refused before', async (t) => {
    const { nowS, ambient, lets, refuses } = await door(t);
    await lets({ ...claims, nbf: nowS + 30 });
    await refuses({ ...claims, nbf: nowS + 30.001 }, /not valid yet/);
    await refuses({ ...claims, nbf: nowS + 60 }, /not valid yet/);
    await ambient.clock.advance(30_000);
    await lets({ ...claims, nbf: nowS + 60 });
  });

  it('leeway is what NOTIFY_AUTH_JWT_LEEWAY says', async (t) => {
    const { nowS, lets, refuses } = await door(t, { ...production, NOTIFY_AUTH_JWT_LEEWAY: '0s' });
    await lets({ ...claims, exp: nowS + 1, nbf: nowS });
    await refuses({ ...claims, exp: nowS }, /has expired/);
    await refuses({ ...claims, nbf: nowS + 0.001 }, /not valid yet/);
  });

  it('exp and nbf must be numbers', async (t) => {
    const { nowS, refuses } = await door(t);
    for (const name of ['exp', 'nbf'])
      for (const value of [String(nowS + 60), null, true, {}, [nowS + 60]])
        await refuses({ ...claims, [name]: value }, /./);
  });

  it('may do without exp, unless NOTIFY_AUTH_JWT_REQUIRE_EXP is true', async (t) => {
    const lenient = await door(t);
    await lenient.lets(claims);
    const strict = await door(t, { ...production, NOTIFY_AUTH_JWT_REQUIRE_EXP: 'true' });
    await strict.refuses(claims, /must carry exp/);
    await strict.lets({ ...claims, exp: strict.nowS + 60 });
  });

  it('iss must be there and be the pinned one', async (t) => {
    const { lets, refuses } = await door(t, { ...production, NOTIFY_AUTH_JWT_ISSUER: 'https://id.example' });
    await lets({ ...claims, iss: 'https://id.example' });
    for (const iss of [undefined, '', 'https://id.example/', 'https://ID.example', ['https://id.example']])
      await refuses({ ...claims, iss }, /another issuer/);
  });

  it('aud must be there and be the pinned one, or hold it', async (t) => {
    const { lets, refuses } = await door(t, { ...production, NOTIFY_AUTH_JWT_AUDIENCE: 'notify' });
    for (const aud of ['notify', ['notify'], ['other', 'notify']]) await lets({ ...claims, aud });
    for (const aud of [undefined, '', 'Notify', 'notify2', [], ['other'], { notify: true }])
      await refuses({ ...claims, aud }, /another audience/);
  });

  it('iss and aud do not matter where they are not pinned', async (t) => {
    const { lets } = await door(t);
    await lets({ ...claims, iss: 'anybody', aud: 'anything' });
  });
});

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

describe('the signature of a JWT', () => {
  const invalid = /^the bearer token is not a JWT with a valid HS256 signature$/;
  const hmac = (alg: string, hash: string, key: string | Buffer = secret) => {
    const signed = `${encode({ alg, typ: 'JWT' })}.${encode(claims)}`;
    return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`;
  };
  const refusesToken = async ({ ask }: Door, what: string, token: string) => {
    const { status, message } = await ask(`Bearer ${token}`);
    assert.equal(status, 401, `${what} is let in`);
    assert.match(String(message), invalid);
  };

  it('is HS256 and nothing else', async (t) => {
    const at = await door(t);
    assert.equal((await at.ask(`Bearer ${hmac('HS256', 'sha256')}`)).status, 200, 'as made by hand');
    const unsigned = `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}`;
    await refusesToken(at, 'alg none', `${unsigned}.`);
    await refusesToken(at, 'alg none without a dot', unsigned);
    await refusesToken(at, 'alg None', `${encode({ alg: 'None' })}.${encode(claims)}.`);
    await refusesToken(
      at,
      'alg none with an HS256 signature',
      `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`,
    );
    await refusesToken(at, 'HS384', hmac('HS384', 'sha384'));
    await refusesToken(at, 'HS512', hmac('HS512', 'sha512'));
    await refusesToken(at, 'an HS384 signature under the name HS256', hmac('HS256', 'sha384'));
    await refusesToken(at, 'no alg', `${encode({ typ: 'JWT' })}.${encode(claims)}.${encode('x')}`);
    const critical = `${encode({ alg: 'HS256', crit: ['later'], later: true })}.${encode(claims)}`;
    const signature = createHmac('sha256', secret).update(critical).digest('base64url');
    await refusesToken(at, 'a critical header that nobody knows', `${critical}.${signature}`);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const rsa = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
    await refusesToken(
      at,
      'RS256',
      `${rsa}.${sign('sha256', Buffer.from(rsa), privateKey).toString('base64url')}`,
    );
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const es = `${encode({ alg: 'ES256', typ: 'JWT' })}.${encode(claims)}`;
    const key = { key: ec.privateKey, dsaEncoding: 'ieee-p1363' } as const;
    await refusesToken(at, 'ES256', `${es}.${sign('sha256', Buffer.from(es), key).toString('base64url')}`);
  });

  it('covers every byte', async (t) => {
    const at = await door(t);
    const token = jwt(secret, claims);
    const [header = '', payload = '', signature = ''] = token.split('.');
    await refusesToken(at, 'another payload', `${header}.${encode({ ...claims, sub: 'bob' })}.${signature}`);
    await refusesToken(
      at,
      'another header',
      `${encode({ alg: 'HS256', typ: 'at+jwt' })}.${payload}.${signature}`,
    );
    for (const at_ of [0, 10, 20, 41]) {
      const other = signature[at_] === 'A' ? 'B' : 'A';
      await refusesToken(
        at,
        `a signature changed at ${at_}`,
        `${header}.${payload}.${signature.slice(0, at_)}${other}${signature.slice(at_ + 1)}`,
      );
    }
    await refusesToken(at, 'half a signature', `${header}.${payload}.${signature.slice(0, 20)}`);
    await refusesToken(at, 'no signature', `${header}.${payload}.`);
    await refusesToken(at, 'a fourth part', `${token}.x`);
    for (const garbage of ['x', '...', 'a.b.c', `${encode('not json')}.${payload}.${signature}`])
      await refusesToken(at, garbage, garbage);
  });

  it('of a payload that is no object is refused', async (t) => {
    const at = await door(t);
    for (const payload of ['not json', '"alice"', '[]', 'null', '7']) {
      const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(payload)}`;
      const token = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
      assert.equal((await at.ask(`Bearer ${token}`)).status, 401, payload);
    }
  });

  it('is made with the bytes of the secret: hex is not decoded, and text is UTF-8', async (t) => {
    const hex = '00112233445566778899aabbccddeeff'.repeat(2);
    const at = await door(t, { ...production, NOTIFY_AUTH_JWT_SECRET: hex });
    await at.lets(claims, hex);
    const decoded = hmac('HS256', 'sha256', Buffer.from(hex, 'hex'));
    await refusesToken(at, 'a key of decoded hex', decoded);
    const words = 'Schlüsselwörter öffnen 🔑 manche Tür';
    await (await door(t, { ...production, NOTIFY_AUTH_JWT_SECRET: words })).lets(claims, words);
  });

  it('may be of the previous secret while that is being rotated out', async (t) => {
    const [next, other] = [
      'the next secret, also of 32 bytes or more',
      'a third secret of thirty-two bytes or more',
    ];
    const rotating = await door(t, {
      ...production,
      NOTIFY_AUTH_JWT_SECRET: next,
      NOTIFY_AUTH_JWT_SECRET_PREVIOUS: secret,
    });
    await rotating.lets(claims, next);
    await rotating.lets(claims, secret);
    await rotating.refuses(claims, invalid, other);
    await rotating.refuses({ ...claims, exp: rotating.nowS - 60 }, /has expired/, secret);
    const done = await door(t, { ...production, NOTIFY_AUTH_JWT_SECRET: next });
    await done.refuses(claims, invalid, secret);
  });
});

describe('the Authorization header', () => {
  it('may write Bearer in any case, with spaces around the token', async (t) => {
    const { ask } = await door(t);
    const token = jwt(secret, claims);
    for (const header of [
      `Bearer ${token}`,
      `bearer ${token}`,
      `BEARER ${token}`,
      `bEaReR   ${token}`,
      ` Bearer ${token} `,
    ])
      assert.equal((await ask(header)).status, 200, header.slice(0, 12));
  });

  it('must be there, and hold one token', async (t) => {
    const { ask } = await door(t);
    const token = jwt(secret, claims);
    for (const header of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      token,
      `Bearer${token}`,
      `Basic ${token}`,
      `Token ${token}`,
      `Bearer ${token} ${token}`,
      `Bearer "${token}`,
      `Bearer, ${token}`,
    ]) {
      const { status, message } = await ask(header);
      assert.equal(status, 401, `${header?.slice(0, 12)} is let in`);
      assert.ok(!String(message).includes(token), 'no message shows a token');
    }
  });
});

describe('the internal token', () => {
  const request = { tenantId: 'demo', notificationId: 'n', userIds: ['alice'] };
  const ask = async ({ service }: Door, headers: Record<string, string>) => {
    const procedureOf = ['notify.v1.ProducerService/PublishDataChange', procedures.notify];
    const bodies = [{ tenantId: 'demo', userIds: ['alice'], idempotencyKey: 'k' }, request];
    const answers = await Promise.all(
      procedureOf.map((procedure, i) => call(service.url.internal, procedure, bodies[i], headers)),
    );
    const [first, second] = answers.map(({ status }) => status);
    assert.equal(first, second, 'both services of the port ask for it');
    return first;
  };

  it('is asked for in its own header, whole and in its case', async (t) => {
    const at = await door(t);
    assert.equal(await ask(at, { 'x-notify-internal-token': 'sesame' }), 200);
    assert.equal(await ask(at, { 'X-Notify-Internal-Token': ' sesame ' }), 200, 'HTTP drops the spaces');
    for (const token of ['', 'Sesame', 'sesam', 'sesamee', 'sesame, sesame', 'Bearer sesame', '*'])
      assert.equal(await ask(at, { 'x-notify-internal-token': token }), 401, token);
    for (const headers of [
      {},
      { authorization: 'Bearer sesame' },
      { 'x-internal-token': 'sesame' },
      { cookie: 'x-notify-internal-token=sesame' },
    ])
      assert.equal(await ask(at, headers), 401);
  });

  it('may be the previous one while that is being rotated out', async (t) => {
    const rotating = await door(t, {
      ...production,
      NOTIFY_INTERNAL_TOKEN: 'open',
      NOTIFY_INTERNAL_TOKEN_PREVIOUS: 'sesame',
    });
    assert.equal(await ask(rotating, { 'x-notify-internal-token': 'open' }), 200);
    assert.equal(await ask(rotating, { 'x-notify-internal-token': 'sesame' }), 200);
    assert.equal(await ask(rotating, { 'x-notify-internal-token': 'opensesame' }), 401);
  });

  it('is not asked for in dev mode without one', async (t) => {
    const at = await door(t, { NOTIFY_AUTH_DEV_MODE: 'true' });
    assert.equal(await ask(at, {}), 200);
    assert.equal(await ask(at, { 'x-notify-internal-token': 'anything' }), 200);
  });

  it('is asked for in dev mode with one', async (t) => {
    const at = await door(t, { NOTIFY_AUTH_DEV_MODE: 'true', NOTIFY_INTERNAL_TOKEN: 'sesame' });
    assert.equal(await ask(at, {}), 401);
    assert.equal(await ask(at, { 'x-notify-internal-token': 'sesame' }), 200);
  });
});
