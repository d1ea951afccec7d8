import { InvalidValue } from './invalid.ts';

/** How Postgres is reached, by libpq's words (https://www.postgresql.org/docs/current/libpq-connect.html). */
export interface PostgresDsn {
  /** A name, an address, or a folder with a Unix socket; undefined: libpq's default. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly sslMode: SslMode;
  /** Paths of PEM files; `system` as the root certificate means those that Node trusts. */
  readonly sslRootCert: string | undefined;
  readonly sslCert: string | undefined;
  readonly sslKey: string | undefined;
  readonly applicationName: string | undefined;
  /** Command line options for the server, such as `-c search_path=x`. */
  readonly options: string | undefined;
  readonly connectTimeoutS: number | undefined;
}

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

const form =
  'must be a URL like postgres://user:password@host:5432/database, with special characters percent-encoded, ' +
  "or keywords like host=db port=5432 user=notify password='…' dbname=notify";

/** Parameters that change nothing here: pg keeps connections alive by itself, and speaks UTF-8 only. */
const ignored = [
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'client_encoding',
  'fallback_application_name',
  'gssencmode',
  'sslcompression',
  'sslsni',
];

/**
 * Reads a URL or libpq's keywords and values. The mode of TLS is `prefer` where nothing is said, as libpq has it.
 * @throws InvalidValue, which never quotes the text
 */
export function parsePostgresDsn(text: string): PostgresDsn {
  const given = /^postgres(ql)?:\/\//.test(text) ? fromUrl(text) : fromKeywords(text);
  const take = (name: string): string | undefined => {
    const value = given.get(name);
    given.delete(name);
    return value === '' ? undefined : value;
  };
  const host = take('host');
  const address = take('hostaddr');
  const port = take('port');
  if ([host, address, port].some((value) => value?.includes(',')))
    throw new InvalidValue(
      'names several hosts, which is not supported; name one, such as the address that follows the primary',
    );
  const parsed: PostgresDsn = {
    host: address ?? host,
    port: port === undefined ? undefined : whole('port', port, 65_535),
    user: take('user'),
    password: take('password'),
    database: take('dbname'),
    ...sslOf(take),
    applicationName: take('application_name'),
    options: take('options'),
    connectTimeoutS: mapped(take('connect_timeout'), (value) => whole('connect_timeout', value, 3_600)),
  };
  const session = take('target_session_attrs');
  if (session !== undefined && !['any', 'read-write', 'primary'].includes(session))
    throw new InvalidValue('has a target_session_attrs that cannot be written to; leave it out');
  for (const name of ignored) given.delete(name);
  const [unknown] = given.keys();
  if (unknown !== undefined) {
    // a word that is no parameter's name may be part of a secret
    const name = /^[a-z_]{3,40}$/.test(unknown) ? unknown : 'one';
    throw new InvalidValue(`has a parameter that is not supported (${name}); leave it out`);
  }
  return parsed;
}

function sslOf(
  take: (name: string) => string | undefined,
): Pick<PostgresDsn, 'sslMode' | 'sslRootCert' | 'sslCert' | 'sslKey'> {
  const mode = take('sslmode');
  const sslRootCert = take('sslrootcert');
  const sslMode = mode === undefined ? 'prefer' : sslModes.find((known) => known === mode);
  if (sslMode === undefined) throw new InvalidValue(`has an unknown sslmode; use ${sslModes.join(', ')}`);
  if (sslMode === 'verify-ca' && sslRootCert === undefined)
    throw new InvalidValue(
      'has sslmode=verify-ca without sslrootcert, which would trust anybody with a certificate; add it or use verify-full',
    );
  return { sslMode, sslRootCert, sslCert: take('sslcert'), sslKey: take('sslkey') };
}

function fromUrl(text: string): Map<string, string> {
  const authority = /^[a-z]+:\/\/(?:[^@/?#]*@)?([^/?#]*)/.exec(text)?.[1] ?? '';
  const given = new Map<string, string>();
  if (authority.includes(',')) return given.set('host', authority);
  try {
    // an empty host is one for libpq; WHATWG's URL refuses it beside a user or a port
    const isLocal = authority === '' || authority.startsWith(':');
    const url = new URL(isLocal ? text.replace(/^([a-z]+:\/\/(?:[^@/?#]*@)?)/, '$1-') : text);
    const host = isLocal ? '' : decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
    for (const [name, value] of [
      ['host', host],
      ['port', url.port],
      ['user', decodeURIComponent(url.username)],
      ['password', decodeURIComponent(url.password)],
      ['dbname', decodeURIComponent(url.pathname.slice(1))],
    ] as const)
      if (value !== '') given.set(name, value);
    for (const [name, value] of url.searchParams)
      given.set(name === 'ssl' ? 'sslmode' : name, sslWord(name, value));
  } catch {
    throw new InvalidValue(form);
  }
  return given;
}

/** JDBC's `ssl=true`, which libpq takes in URLs too. */
const sslWord = (name: string, value: string): string =>
  name === 'ssl' && value === 'true' ? 'require' : value;

function fromKeywords(text: string): Map<string, string> {
  const given = new Map<string, string>();
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/gy;
  const trimmed = text.trim();
  let end = 0;
  for (let match = pair.exec(trimmed); match !== null; match = pair.exec(trimmed)) {
    given.set(match[1] ?? '', (match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1'));
    end = pair.lastIndex;
  }
  if (end !== trimmed.length || given.size === 0) throw new InvalidValue(form);
  return given;
}

function whole(name: string, value: string, largest: number): number {
  const number = Number(value);
  if (/^\d{1,6}$/.test(value) && number <= largest) return number;
  throw new InvalidValue(`has a ${name} that is no whole number up to ${largest}`);
}

const mapped = <T>(value: string | undefined, map: (value: string) => T): T | undefined =>
  value === undefined ? undefined : map(value);
