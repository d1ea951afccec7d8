import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connectionConfigs } from '../../plugins/store/postgres/connection.ts';
import { type PostgresDsn, parsePostgresDsn } from '../../src/config.ts';

const nothing: PostgresDsn = {
  host: undefined,
  port: undefined,
  user: undefined,
  password: undefined,
  database: undefined,
  sslMode: 'prefer',
  sslRootCert: undefined,
  sslCert: undefined,
  sslKey: undefined,
  applicationName: undefined,
  options: undefined,
  connectTimeoutS: undefined,
};

describe('the Postgres DSN', () => {
  for (const [text, expected] of [
    ['postgres://', {}],
    ['postgresql:///notify', { database: 'notify' }],
    ['postgres://db', { host: 'db' }],
    ['postgres://db:6432/notify', { host: 'db', port: 6432, database: 'notify' }],
    [
      'postgres://us%40er:p%3A%2F%25w@db/no%20tify',
      { host: 'db', user: 'us@er', password: 'p:/%w', database: 'no tify' },
    ],
    ['postgres://user@/notify', { user: 'user', database: 'notify' }],
    ['postgres://:5433/notify', { port: 5433, database: 'notify' }],
    ['postgres://[2001:db8::1]:5432/x', { host: '2001:db8::1', port: 5432, database: 'x' }],
    ['postgres://%2Fvar%2Frun%2Fpostgresql/x', { host: '/var/run/postgresql', database: 'x' }],
    [
      'postgres:///x?host=/var/run/postgresql&port=5433',
      { host: '/var/run/postgresql', port: 5433, database: 'x' },
    ],
    ['postgres://db/x?sslmode=verify-full', { host: 'db', database: 'x', sslMode: 'verify-full' }],
    ['postgres://db/x?ssl=true', { host: 'db', database: 'x', sslMode: 'require' }],
    [
      'postgres://db/x?application_name=me&connect_timeout=7&options=-c%20search_path%3Dy',
      { host: 'db', database: 'x', applicationName: 'me', connectTimeoutS: 7, options: '-c search_path=y' },
    ],
    ['postgres://db/x?target_session_attrs=read-write&keepalives=1', { host: 'db', database: 'x' }],
    [
      'host=db port=6432 user=notify dbname=notify sslmode=disable',
      { host: 'db', port: 6432, user: 'notify', database: 'notify', sslMode: 'disable' },
    ],
    [` host = 'my db'  password='it''s' `.replace("''", "\\'"), { host: 'my db', password: "it's" }],
    ["password='a\\\\b c' host=/tmp", { password: 'a\\b c', host: '/tmp' }],
    ['hostaddr=10.0.0.1 host=db', { host: '10.0.0.1' }],
  ] as const)
    it(`reads ${text}`, () => {
      assert.deepEqual(parsePostgresDsn(text), { ...nothing, ...expected });
    });

  for (const [text, why] of [
    ['postgres://db1,db2/x', /several hosts/],
    ['postgres://db1:1,db2:2/x', /several hosts/],
    ['postgres://user:secret@db1:1,db2:2/x', /several hosts/],
    ['host=db1,db2 dbname=x', /several hosts/],
    ['postgres:///x?host=a,b', /several hosts/],
    ['postgres://db/x?sslmode=secret', /unknown sslmode; use disable, allow/],
    ['postgres://db/x?sslmode=verify-ca', /without sslrootcert/],
    ['postgres://db/x?target_session_attrs=standby', /target_session_attrs/],
    ['postgres://db/x?channel_binding=require', /not supported \(channel_binding\)/],
    ['postgres://db/x?connect_timeout=soon', /connect_timeout/],
    ['postgres://db:99999/x', /must be a URL/],
    ['host=db port=99999', /has a port that/],
    ['postgres://us%er@db/x', /must be a URL/],
    ['mysql://db/x', /must be a URL like postgres:\/\//],
    ['just some secret', /must be a URL/],
    ["host='unfinished secret", /must be a URL/],
    ['host=db secret', /must be a URL/],
  ] as const)
    it(`refuses ${text}`, () => {
      assert.throws(
        () => parsePostgresDsn(text),
        (error: Error) => {
          assert.equal(error.name, 'InvalidValue');
          assert.match(error.message, why);
          assert.doesNotMatch(error.message, /secret/);
          return true;
        },
      );
    });
});

describe('the ways to connect', () => {
  const ways = async (sslMode: string, more = '') =>
    (await connectionConfigs(parsePostgresDsn(`postgres://db/x?sslmode=${sslMode}${more}`))).map(
      ({ ssl }) => ssl,
    );
  const lax = { rejectUnauthorized: false };
  const certificate = `&sslrootcert=${encodeURIComponent(new URL('../../LICENSE', import.meta.url).pathname)}`;

  it('are those of libpq’s sslmode', async () => {
    assert.deepEqual(await ways('disable'), [false]);
    assert.deepEqual(await ways('allow'), [false, lax]);
    assert.deepEqual(await ways('prefer'), [lax, false]);
    assert.deepEqual(await ways('require'), [lax]);
    assert.deepEqual(await ways('verify-full'), [{}], 'Node checks the chain and the name');
  });

  it('check the chain where there is a root certificate, and the name for verify-full alone', async () => {
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      const [ssl] = await ways(mode, certificate);
      assert.ok(typeof ssl === 'object' && typeof ssl.ca === 'string');
      assert.equal(ssl.rejectUnauthorized, undefined);
      assert.equal(ssl.checkServerIdentity === undefined, mode === 'verify-full');
    }
    assert.deepEqual(await ways('require', '&sslrootcert=system'), [{}]);
  });

  it('need no TLS on a Unix socket', async () => {
    const [way, ...others] = await connectionConfigs(parsePostgresDsn('host=/tmp sslmode=verify-full'));
    assert.equal(way?.ssl, false);
    assert.deepEqual(others, []);
  });

  it('name the parameter whose file cannot be read', async () => {
    await assert.rejects(
      ways('verify-full', '&sslrootcert=/nowhere'),
      /sslrootcert names a file that cannot be read/,
    );
  });
});
