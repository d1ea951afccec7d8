/** Keeps README.md and docs/ true: what they list is what the code has, and what they show is what the service does. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { EventSource } from 'eventsource';
import { maxMessageBytes } from '../routes/rpc/protocol/request-body.ts';
import { built } from '../src/app.ts';
import { httpVariablePrefix, schema } from '../src/config/schema.ts';
import { isBlock, isVariable, type Settings, type Variable } from '../src/config/variable.ts';
import { ConfigError, parseConfig, variableNames } from '../src/config.ts';
import { type ErrorCode, errorCodes, NotifyError } from '../src/core/errors.ts';
import type { UserKey } from '../src/core/glossary.ts';
import * as live from '../src/core/live/settings.ts';
import { limits } from '../src/core/notifier/validate.ts';
import { namedIds } from '../src/core/store.ts';
import { fakeAmbient } from './support/ambient.ts';
import { call, procedures } from './support/build.ts';
import { eventually } from './support/eventually.ts';
import { jwt } from './support/jwt.ts';
import { type StreamService, serve } from './support/serve.ts';

const root = new URL('..', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const readme = read('README.md');
const api = read('docs/api.md');
const livePage = read('docs/live.md');
const configuration = read('docs/configuration.md');

/** Every page that a reader may open, by path. */
const pages = new Map(
  [
    ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'bench/README.md'],
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
  ]
    .filter((path) => path.endsWith('.md') && existsSync(join(root, path)))
    .map((path) => [path, read(path)]),
);

/** A fenced block. */
interface Block {
  readonly language: string;
  readonly text: string;
  /** What stands between it and the next block. */
  readonly after: string;
}

function blocks(page: string): Block[] {
  const parts = page.split(/^ *```(.*)\n/m);
  const found: Block[] = [];
  for (let i = 1; i + 1 < parts.length; i += 4)
    found.push({ language: parts[i] ?? '', text: parts[i + 1] ?? '', after: parts[i + 3] ?? '' });
  return found;
}

/** The text under a heading, up to the next one of the same rank or a higher one. */
function section(page: string, heading: string): string {
  const [, rank = ''] = /^(#+) /.exec(heading) ?? [];
  const from = page.indexOf(`\n${heading}\n`);
  assert.notEqual(from, -1, `no heading ${heading}`);
  const rest = page.slice(from + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${rank.length}} `, 'm'));
  return end === -1 ? rest : rest.slice(0, end);
}

/** The rows of all tables, without their heads, as cells. */
function rows(text: string): string[][] {
  const lines = text.split('\n');
  return lines
    .filter(
      (line, i) =>
        line.startsWith('|') && !/^\|[-|]+\|$/.test(line) && !/^\|[-|]+\|$/.test(lines[i + 1] ?? ''),
    )
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const code = (cell: string | undefined): string => (cell ?? '').replaceAll('`', '');

describe('docs/configuration.md', () => {
  const documented = rows(configuration).filter(([name]) => name?.startsWith('`NOTIFY_'));
  const namesIn = (text: string) =>
    rows(text)
      .map(([name]) => code(name))
      .filter((name) => name.startsWith('NOTIFY_'))
      .sort();
  /** A row's variable, and whether it belongs to a driver or a provider. */
  const all: { variable: Variable<unknown>; isChosen: boolean }[] = [];
  const collect = (settings: Settings, isChosen: boolean): void => {
    for (const node of Object.values(settings))
      if (isVariable(node)) {
        all.push({ variable: node, isChosen });
        if (node.own !== undefined) all.push({ variable: { ...node, name: node.own }, isChosen });
      } else collect(isBlock(node) ? node.settings : node, isChosen || isBlock(node));
  };
  collect(schema, false);
  const isRefused = ({ feature }: Variable<unknown>) =>
    feature !== undefined && !built.features.includes(feature);
  const namesOf = (keep: (entry: { variable: Variable<unknown>; isChosen: boolean }) => boolean) =>
    [...new Set(all.filter(keep).map(({ variable }) => variable.name))].sort();

  it('has one row for every variable, and no other', () => {
    assert.deepEqual(documented.map(([name]) => code(name)).sort(), [...variableNames].sort());
  });

  it('gives every default as it is', () => {
    const defaults = new Map<string, string>();
    for (const { variable } of all)
      if (variable.source === undefined && !defaults.has(variable.name))
        defaults.set(variable.name, variable.default ?? '');
    const told = documented.filter(([name]) => defaults.has(code(name)));
    assert.deepEqual(
      Object.fromEntries(told.map(([name, value]) => [code(name), code(value)])),
      Object.fromEntries(defaults),
    );
  });

  it('says which are refused, which count for a driver or provider only, and which are in effect', () => {
    const refused = section(configuration, '## Refused in this version');
    const chosen = section(configuration, '## Of one driver or provider');
    assert.deepEqual(
      namesIn(refused),
      namesOf(({ variable }) => isRefused(variable)),
    );
    assert.deepEqual(
      namesIn(chosen),
      namesOf(({ isChosen }) => isChosen),
    );
  });

  it('quotes the message of a wrong configuration as it comes', () => {
    const quoted = blocks(configuration)[0]?.text.replaceAll(/^ {2}/gm, '').trim();
    const env = {
      NOTIFY_AUTH_DEV_MODE: 'true',
      NOTIFY_SHUTDOWN_TIMEOUT: '30',
      NOTIFY_STORE_DRIVER: 'entdb',
    };
    assert.throws(
      () => parseConfig(env, built),
      (error) => error instanceof ConfigError && error.message === quoted,
    );
  });

  for (const [path, text] of pages)
    it(`${path} names no variable that does not exist`, () => {
      const named = text.match(/\bNOTIFY_[A-Z0-9_]+\b(?!\*)/g) ?? [];
      // db:import has a variable of its own
      const ofTools = read('src/import.ts');
      assert.deepEqual(
        named.filter(
          (name) =>
            !variableNames.has(name) &&
            !name.startsWith(httpVariablePrefix) &&
            !ofTools.includes(`named('${name}')`),
        ),
        [],
      );
    });
});

describe('docs/api.md', () => {
  it('has every error code that the service can answer with, under its numbers', () => {
    const documented = rows(section(api, '## Errors'))
      .filter(([, , grpc]) => /^\d+$/.test(grpc ?? ''))
      .map(([name, http, grpc]) => [code(name), Number(http), Number(grpc)]);
    const used = new Set<string>();
    for (const folder of ['src', 'plugins', 'routes'])
      for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }))
        if (file.endsWith('.ts'))
          for (const [, word = ''] of read(join(folder, file)).matchAll(/new NotifyError\(\s*'(\w+)'/g))
            used.add(word);
    const actual = Object.entries(errorCodes)
      .filter(([name]) => used.has(name))
      .map(([name, { http, grpc }]) => [name, http, grpc]);
    assert.deepEqual(documented.sort(), actual.sort());
  });

  it('has every metric with its type', async (t) => {
    const service = await serve(t);
    const text = await (await fetch(`${service.url.ops}/metrics`)).text();
    const actual = [...text.matchAll(/^# TYPE (notify_\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]);
    const documented = rows(section(api, '## Health, metrics, logs'))
      .filter(([name]) => name?.startsWith('`notify_'))
      .map(([name, type]) => [code(name), type]);
    assert.deepEqual(documented.sort(), actual.sort());
  });

  it('has every limit', () => {
    const what: Record<Exclude<keyof typeof limits, 'titleCharacters'>, string> = {
      idBytes: '`tenant_id`, `notification_id`',
      titleBytes: '`title`',
      bodyBytes: '`body`',
      dataBytes: '`data`',
      urlBytes: '`action_url`',
      addressBytes: 'an address',
      labelBytes: "an action's `label`",
      actions: '`actions`',
      usersPerCall: '`user_ids`',
      requestsPerBatch: '`requests`',
      recipientsPerCall: '`recipients`',
    };
    const table = rows(section(api, '## Limits'));
    const told = (start: string) => table.find(([name]) => name?.startsWith(start))?.[1] ?? `no row ${start}`;
    const number = (value: number) => new RegExp(`^${value.toLocaleString('en')}(?![,\\d])`);
    for (const [key, start] of Object.entries(what))
      assert.match(told(start), number(limits[key as keyof typeof limits]));
    assert.ok(told('`title`').includes(limits.titleCharacters.toLocaleString('en')));
    assert.match(told('the whole message'), number(maxMessageBytes));
    assert.match(told('ids in an `inbox` event'), number(namedIds));
    assert.match(told('hints waiting'), number(live.pendingHintsPerSession));
    assert.match(told('live streams'), number(Number(schema.live.maxStreamsPerUser.default)));
  });

  it('has commands that answer what it shows', async (t) => {
    assert.ok((await followTranscript(t, api)) >= 10);
  });

  it("makes a recipient's token that is accepted", async (t) => {
    const secret = 'a secret of more than thirty-two bytes';
    const service = await serve(t, { NOTIFY_AUTH_JWT_SECRET: secret });
    const { recipientToken } = (await run(codeBlock(api, 'recipientToken'))) as {
      recipientToken(secret: string, user: string, tenant: string): string;
    };
    const authorization = `Bearer ${recipientToken(secret, 'alice', 'demo')}`;
    const answer = await call(service.url.client, procedures.getNotifications, {}, { authorization });
    assert.equal(answer.status, 200);
  });

  it('has a page that reads the inbox', async (t) => {
    const service = await serve(t);
    await service.notify('alice', { title: 'read by the page' });
    await run(local(codeBlock(api, "inbox('GetNotifications'"), service));
    const { notifications } = await service.as('alice', 'GetNotifications', {});
    assert.deepEqual(
      (notifications as { status: string }[]).map(({ status }) => status),
      ['DELIVERY_STATUS_READ'],
    );
  });

  it('has a Python client that works', { skip: hasPython() ? false : 'there is no python3' }, async (t) => {
    const service = await serve(t);
    const { text = '' } = blocks(api).find(({ language }) => language === 'python') ?? {};
    const { stdout, stderr } = await python(local(text, service));
    assert.equal(stdout.trim(), "{'delivered': 0, 'pending': 1, 'failed': 0, 'results': []}", stderr);
  });
});

describe('docs/live.md', () => {
  it('has the numbers of the live hub', () => {
    const table = rows(section(livePage, '## Limits'));
    const told = (start: string) => table.find(([name]) => name?.startsWith(start))?.[1] ?? `no row ${start}`;
    assert.match(told('bytes waiting'), new RegExp(`^${live.bufferLimitBytes.toLocaleString('en')}\\.`));
    assert.match(
      told('a reader that takes nothing'),
      new RegExp(`cut after ${live.stallTimeoutMs / 1000} s`),
    );
    assert.match(
      told('items read at a time'),
      new RegExp(`^${live.replayPage},.* ${live.bufferLimitBytes.toLocaleString('en')} bytes`),
    );
    assert.match(told('hints waiting'), new RegExp(`^${live.pendingHintsPerSession.toLocaleString('en')};`));
    assert.match(told('ids in an `inbox` event'), new RegExp(`^${namedIds}$`));
    assert.match(livePage, new RegExp(`${live.drainSpacingMs} ms apart on average`));
  });

  it('has commands that answer what it shows', async (t) => {
    assert.ok((await followTranscript(t, livePage)) >= 1);
  });

  it('shows every event in the form it has', async (t) => {
    const service = await serve(t);
    const stream = await service.open('alice');
    const notify = requests(api).find(({ body }) => body.includes('order-42-shipped'));
    await send(service, notify as Curl);
    const { id } = await stream.nextJson('notification');
    await service.as('alice', 'AckNotification', { id });
    await service.publishHint('alice', 'order-42-v7');
    await stream.next('data_change');
    const resumed = await service.open('alice', { query: { last_event_id: '1' } });
    await resumed.next('reset');
    void service.close();
    await stream.next('end');

    const actual = new Map([...stream.events, ...resumed.events].map((event) => [event.kind, event]));
    const shown = blocks(livePage).flatMap(({ text }) => [
      ...text.matchAll(/^id: (\d+)\nevent: (\w+)\ndata: (.*)$/gm),
    ]);
    for (const [, position = '', kind = '', data = ''] of shown) {
      assert.match(position, /^\d{16}$/);
      assert.deepEqual(shape(JSON.parse(data)), shape(JSON.parse(actual.get(kind)?.data ?? 'null')), kind);
    }
    assert.deepEqual(new Set(shown.map(([, , kind]) => kind)), new Set(actual.keys()));
  });

  describe('the whole page', () => {
    interface Item {
      readonly id: string;
      readonly title: string;
      readonly status: string;
    }
    let openInbox: (options: {
      base: string;
      getToken: () => Promise<string>;
      show: (items: Item[], unread: number) => void;
      changed?: (type: string, ref: string) => void;
    }) => { read(id: string): Promise<unknown>; close(): void };

    before(async () => {
      Object.assign(globalThis, { EventSource });
      ({ openInbox } = (await run(codeBlock(livePage, '// inbox.js'))) as { openInbox: typeof openInbox });
    });

    /** The example, on a service, with what it shows. */
    function openPage(service: StreamService, getToken: () => string = () => 'dev:alice:demo') {
      const page = { items: [] as Item[], unread: 0, hints: [] as string[], inbox: undefined as unknown };
      const inbox = openInbox({
        base: service.url.client,
        getToken: async () => getToken(),
        show: (items, unread) => Object.assign(page, { items: items.map((item) => ({ ...item })), unread }),
        changed: (type, ref) => page.hints.push(`${type} ${ref}`),
      });
      service.closeFirst(() => inbox.close());
      const shows = (titles: string, unread: number) =>
        eventually(`${titles}, ${unread} unread`, () => {
          const seen = `${page.items.map(({ title, status }) => title + (status.endsWith('READ') ? '' : '*')).join(' ')}`;
          if (seen !== titles || page.unread !== unread)
            throw new Error(`it shows ${seen}, ${page.unread} unread`);
          return true;
        });
      return { page, inbox, shows };
    }

    it('shows what comes, what other devices do, and what no event names', async (t) => {
      const service = await serve(t, { NOTIFY_LIVE_HEARTBEAT_INTERVAL: '200ms' });
      await service.notify('alice', { title: 'first' });
      const { page, inbox, shows } = openPage(service);
      await shows('first*', 1);
      await eventually('the stream', async () => (await service.metric('notify_live_connections')) === 1);
      await service.notify('alice', { title: 'second' });
      await shows('second* first*', 2);
      const [second, first] = page.items as [Item, Item];
      await inbox.read(first.id);
      await shows('second* first', 1);
      await service.as('alice', 'MarkUnread', { id: first.id });
      await shows('second* first*', 2);
      await service.as('alice', 'Archive', { id: second.id });
      await shows('first*', 1);
      await service.as('alice', 'Unarchive', { id: second.id });
      await shows('second* first*', 2);
      await service.as('alice', 'MarkAllRead', {});
      await shows('second first', 0);
      await service.publishHint('alice', 'k');
      await eventually('the hint', () => page.hints.length === 1 && page.hints[0] === 'order 42');
      const email = ['DELIVERY_CHANNEL_EMAIL'];
      const letter = {
        tenantId: 'demo',
        notificationId: 'e',
        userIds: ['alice'],
        title: 'letter',
        channels: email,
      };
      await call(service.url.internal, procedures.notify, letter);
      await shows('letter* second first', 0);
    });

    it('fetches once more what changed while an answer was on its way', async (t) => {
      const service = await serve(t);
      await service.notify('alice', { title: 'first' });
      const { shows } = openPage(service);
      await shows('first*', 1);
      await eventually('the stream', async () => (await service.metric('notify_live_connections')) === 1);
      const { fetch } = globalThis;
      let fetched = 0;
      let release = () => {};
      t.mock.method(globalThis, 'fetch', async (...given: Parameters<typeof fetch>) => {
        const answer = await fetch(...given);
        if (!String(given[0]).endsWith('GetNotifications')) return answer;
        fetched += 1;
        if (fetched === 1)
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        return answer;
      });
      await service.as('alice', 'MarkSeen', { upToPosition: String(2n ** 62n) });
      await eventually('it fetches', () => fetched === 1);
      await service.as('alice', 'MarkAllRead', {});
      await shows('first', 0);
      release();
      await eventually('it fetches again', () => fetched === 2);
      await shows('first', 0);
    });

    it('recovers from a restart that lost everything', async (t) => {
      const service = await serve(t);
      const { shows } = openPage(service);
      await service.notify('alice', { title: 'lost' });
      await shows('lost*', 1);
      const { client, internal } = service.ports;
      await service.close();
      const next = await serve(t, {
        NOTIFY_CLIENT_PORT: String(client),
        NOTIFY_INTERNAL_PORT: String(internal),
      });
      await next.notify('alice', { title: 'after the restart' });
      await shows('after the restart*', 1);
    });

    it('goes on with a new token when the old one expires', async (t) => {
      const secret = 'a secret of more than thirty-two bytes';
      const ambient = fakeAmbient();
      const service = await serve(t, { NOTIFY_AUTH_JWT_SECRET: secret }, { ambient });
      let tokens = 0;
      const { shows } = openPage(service, () => {
        tokens += 1;
        return jwt(secret, {
          sub: 'alice',
          tenant: 'demo',
          exp: Math.floor(ambient.clock.now() / 1000) + 60,
        });
      });
      const streams = () => service.metric('notify_live_connections');
      await eventually('the first stream', async () => (await streams()) === 1);
      const before = tokens;
      await ambient.clock.advance(61_000);
      await eventually('a second stream', async () => (await streams()) === 1 && tokens > before);
      await service.notify('alice', { title: 'later' });
      await shows('later*', 1);
    });
  });
});

describe('the RPC client of docs/live.md', () => {
  interface Options {
    readonly base: string;
    readonly getToken: () => Promise<string>;
    readonly handle: (event: { case: string; value: { reason?: string } }) => void;
    readonly signal: AbortSignal;
  }

  /** The example, which tells each pause in place of waiting. */
  async function example(): Promise<{ follow: (options: Options) => Promise<void>; pauses: number[] }> {
    const pauses: number[] = [];
    const pause = (ms: number) => {
      pauses.push(ms);
      return new Promise((resolve) => setImmediate(resolve));
    };
    Object.assign(globalThis, { pauseOfExample: pause });
    const source = codeBlock(livePage, 'async function follow')
      .replace(
        /^import .* from 'node:timers\/promises';$/m,
        'const sleep = (ms) => globalThis.pauseOfExample(ms);',
      )
      .replace(/'\.\/gen\/(.*)\.js'/, `'${new URL('../proto/gen/', import.meta.url)}$1.ts'`)
      .replaceAll(/'(@connectrpc\/[a-z-]+)'/g, (_, name: string) => `'${import.meta.resolve(name)}'`);
    const { follow } = (await run(source)) as { follow: (options: Options) => Promise<void> };
    return { follow, pauses };
  }

  it('pauses while the store is away, and comes back at once to a stream that has aged', async (t) => {
    const service = await serve(t, { NOTIFY_LIVE_MAX_AGE: '100ms' });
    const away = new NotifyError('unavailable', 'the store is away', { retryAfterMs: 2_000 });
    const { inboxSummary } = service.core.store;
    let failures = 0;
    t.mock.method(service.core.store, 'inboxSummary', (owner: UserKey) => {
      if (failures === 3) return inboxSummary.call(service.core.store, owner);
      failures += 1;
      return Promise.reject(away);
    });
    const { follow, pauses } = await example();
    const stop = new AbortController();
    const seen: string[] = [];
    let aged = 0;
    await follow({
      base: service.url.client,
      getToken: async () => 'dev:alice:demo',
      signal: stop.signal,
      handle({ case: kind, value: { reason } }) {
        seen.push(reason ?? kind);
        if (reason === 'max_age') aged += 1;
        if (aged === 2) stop.abort();
      },
    });
    assert.deepEqual(seen.slice(0, 4), ['overloaded', 'overloaded', 'overloaded', 'heartbeat']);
    assert.equal(pauses.length, 3);
    for (const ms of pauses) assert.ok(ms >= 5_000 && ms <= 10_000, `${ms} ms`);
  });

  it('pauses longer and longer where it is told nothing', async (t) => {
    const service = await serve(t);
    t.mock.method(service.core.store, 'inboxSummary', () => Promise.reject(new Error('a fault')));
    const { follow, pauses } = await example();
    const stop = new AbortController();
    let ends = 0;
    await follow({
      base: service.url.client,
      getToken: async () => 'dev:alice:demo',
      signal: stop.signal,
      handle: () => {
        ends += 1;
        if (ends === 5) stop.abort();
      },
    });
    assert.equal(pauses.length, 4);
    for (const [i, ms] of pauses.entries())
      assert.ok(ms >= 250 * 2 ** i && ms <= 750 * 2 ** i, `pause ${i} of ${ms} ms`);
  });
});

describe('README.md', () => {
  it('has commands that do what it says', async (t) => {
    const service = await serve(t);
    const page = await service.open('alice');
    await page.next('inbox');
    const [notify, stream, list, ...more] = requests(readme);
    assert.ok(notify && stream && list && more.length === 0);

    const [, stated = ''] = /It answers `(\{.*?\})`/.exec(readme) ?? [];
    assert.deepEqual((await send(service, notify)).body, JSON.parse(stated));
    const shown = await page.nextJson('notification');
    assert.equal(shown.notificationId, JSON.parse(notify.body).notificationId);

    assert.deepEqual((await send(service, notify)).body, JSON.parse(stated), 'the same command again');
    assert.equal(
      page.events.filter(({ kind }) => kind === 'notification').length,
      1,
      'nothing is sent twice',
    );

    const token = new URL(stream.url).searchParams.get('access_token') ?? '';
    const watching = await service.openAs({ query: { access_token: token } });
    assert.equal((await watching.next()).kind, 'heartbeat');

    const { notifications } = (await send(service, list)).body as { notifications: { id: string }[] };
    assert.deepEqual(
      notifications.map(({ id }) => id),
      [shown.id],
    );
  });

  it('names npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const known = ['ci', ...Object.keys(scripts)];
    for (const [path, text] of pages)
      for (const [, name = ''] of text.matchAll(/(?:\bnpm run |`npm |^npm |&& npm )(?!run )([a-z:]+)/gm))
        assert.ok(known.includes(name), `${path}: npm ${name}`);
  });
});

describe('links', () => {
  /** GitHub's anchors of a page's headings. */
  const anchors = (page: string): string[] =>
    [...page.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );

  for (const [path, text] of pages)
    it(`${path} points to what is there`, () => {
      const broken: string[] = [];
      for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [file = '', anchor] = target.split('#');
        const to = file === '' ? path : join(dirname(path), file);
        if (!existsSync(join(root, to))) broken.push(target);
        else if (anchor !== undefined && !anchors(read(to)).includes(anchor)) broken.push(target);
      }
      assert.deepEqual(broken, []);
    });
});

/** A call as a curl command makes it. */
interface Curl {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The curl commands of all shell blocks, in order. */
const requests = (page: string): Curl[] =>
  blocks(page)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => curls(text));

function curls(shell: string): Curl[] {
  // words as sh has them: quoted or plain; a backslash at the end of a line joins it with the next
  const words = /\\\n|'([^']*)'|"([^"]*)"|#.*|(\n)|([^\s'"]+)/g;
  const commands: string[][] = [[]];
  for (const [, single, double, end, plain] of shell.matchAll(words)) {
    if (end !== undefined) commands.push([]);
    const word = single ?? double?.replaceAll(/\$\w+/g, '') ?? plain;
    if (word !== undefined) commands.at(-1)?.push(word);
  }
  return commands
    .filter(([program]) => program === 'curl')
    .map(([, ...words]) => {
      const headers: Record<string, string> = {};
      let url = '';
      let body = '';
      for (let word = words.shift(); word !== undefined; word = words.shift()) {
        if (word === '-H') {
          const [, name = '', value = ''] = /^(.*?): ?(.*)$/.exec(words.shift() ?? '') ?? [];
          if (value !== '') headers[name] = value;
        } else if (word === '-d') body = words.shift() ?? '';
        else if (word.startsWith('http')) url = word;
        else assert.equal(word, '-N', 'an option that this test does not know');
      }
      return { url, headers, body };
    });
}

/** The same text with the ports of a service. */
const local = (text: string, { url }: StreamService): string =>
  text
    .replaceAll('http://localhost:8080', url.client)
    .replaceAll('http://localhost:8081', url.internal)
    .replaceAll('http://localhost:9090', url.ops);

async function send(service: StreamService, curl: Curl): Promise<{ status: number; body: unknown }> {
  const { headers, body } = curl;
  const response = await fetch(local(curl.url, service), { method: 'POST', headers, body });
  return { status: response.status, body: await response.json() };
}

/**
 * Runs every command that is followed by its answer, in order against one service, and compares the answers. Ids and
 * positions of the page stand for those of the run, in later commands too.
 * @returns how many there were
 */
async function followTranscript(t: TestContext, page: string): Promise<number> {
  const service = await serve(t);
  const known = new Map<string, string>();
  const all = blocks(page);
  let count = 0;
  for (const [i, { language, text, after }] of all.entries()) {
    const answer = all[i + 1];
    if (language !== 'sh' || answer?.language !== 'json' || after.trim() !== '') continue;
    let shell = text;
    for (const [shown, actual] of known) shell = shell.replaceAll(shown, actual);
    const [curl, ...more] = curls(shell);
    assert.ok(curl !== undefined && more.length === 0, text);
    const shown = JSON.parse(answer.text) as { code?: ErrorCode };
    const { status, body } = await send(service, curl);
    assertShown(shown, body, known, text);
    assert.equal(status, shown.code === undefined ? 200 : errorCodes[shown.code].http, text);
    count += 1;
  }
  return count;
}

/** Ids, positions and times differ from run to run; everything else is as shown. */
function assertShown(shown: unknown, actual: unknown, known: Map<string, string>, where: string): void {
  if (typeof shown === 'object' && shown !== null && typeof actual === 'object' && actual !== null) {
    const [left, right] = [shown as Record<string, unknown>, actual as Record<string, unknown>];
    assert.deepEqual(Object.keys(right).sort(), Object.keys(left).sort(), where);
    for (const key of Object.keys(left)) assertShown(left[key], right[key], known, `${key} in ${where}`);
    return;
  }
  const form = formOf(shown);
  if (form === undefined || form !== formOf(actual)) assert.deepEqual(actual, shown, where);
  else if (form !== 'time') {
    assert.equal(known.get(String(shown)) ?? actual, actual, where);
    known.set(String(shown), String(actual));
  }
}

/** The form of a text that no two runs have alike; undefined for others. */
function formOf(value: unknown): 'id' | 'position' | 'time' | undefined {
  if (typeof value !== 'string') return undefined;
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)) return 'id';
  if (/^\d{16}$/.test(value)) return 'position';
  return /^\d{13}$/.test(value) ? 'time' : undefined;
}

/** A value with its types in the place of its values. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return [];
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, shape(held)]));
}

/** The JavaScript block that holds a text. */
function codeBlock(page: string, text: string): string {
  const found = blocks(page).find((block) => block.language === 'js' && block.text.includes(text));
  assert.ok(found, `no block with ${text}`);
  return found.text;
}

const run = (source: string): Promise<unknown> =>
  import(`data:text/javascript,${encodeURIComponent(source)}`);

function hasPython(): boolean {
  return spawnSync('python3', ['--version']).status === 0;
}

/** Runs a script without blocking this process, which serves it. */
const python = (script: string): Promise<{ stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile('python3', ['-c', script], (_error, stdout, stderr) => resolve({ stdout, stderr }));
  });
