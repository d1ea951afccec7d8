/** What every provider must do, whatever it speaks: run by each against a server that speaks the provider's wire format. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import {
  type ChannelMessage,
  type ChannelProvider,
  codes,
  DeliveryError,
  deadDestination,
  type RenderedContent,
  type SendReceipt,
} from '../../src/core/channel.ts';
import type { Content } from '../../src/core/glossary.ts';
import { type FakeClock, fakeClock } from '../support/ambient.ts';
import { eventually } from '../support/eventually.ts';
import type { Fault, Wire } from '../support/provider-server.ts';
import { http1, type Received, type Reply } from '../support/scripted-server.ts';

/** A message as the server understood it. */
export interface Understood {
  readonly destination: string;
  /** All that a person would read of it. */
  readonly text: string;
}

/** A refusal in the provider's own words. */
export interface Refusal<Answer = Reply> {
  /** Continues "refuses": what the provider says. */
  readonly when: string;
  readonly reply: Answer;
  readonly code: string;
}

/** What the suite must know of a provider. @typeParam Request a message as its server gets it, Answer what that may say */
export interface ChannelCase<Request = Received, Answer = Reply> {
  /** Opens the provider against a server at `base`, an URL without a path. */
  open(t: TestContext, base: string, clock: FakeClock): ChannelProvider;
  /** A destination that it takes; `base` where destinations are URLs. */
  destination(base: string): string;
  /** What may follow a destination without harm, where it is no plain text. */
  readonly harmlessEnds?: readonly string[];
  /** Destinations that it must refuse without asking anybody, beside those with line breaks. */
  readonly wrongDestinations: readonly string[];
  /** How the server takes a message, and the id that it gives it; '' where it gives none. */
  accepted(): { readonly reply: Answer; readonly id: string | ((request: Request) => string) };
  /** Reads a request as the provider would. @throws where it is not one that the provider understands */
  understand(request: Request, base: string): Understood;
  /** By what the provider can tell that a message is one that it had before. */
  repeatKey?(request: Request): unknown;
  /** How the server says that it is asked too often; left out where the protocol has no way to say until when. */
  throttled?(headers: Readonly<Record<string, string>>): Answer;
  readonly permanent: readonly Refusal<Answer>[];
  readonly transient: readonly Refusal<Answer>[];
  /** Where the provider knows credentials. */
  readonly credentials?: readonly Refusal<Answer>[];
  /** Where it can say that a destination is dead. */
  readonly dead?: readonly Refusal<Answer>[];
  /** The largest that it takes. */
  readonly longest: Partial<Content>;
  /** Messages that it must refuse without asking anybody, if there are any. */
  readonly impossible?: readonly Partial<Content>[];
  /** Whether the id comes in the head of an answer, so that it is known before the body. */
  readonly idInHead?: boolean;
  /** Whether a title has to be one line. */
  readonly titleIsOneLine?: boolean;
  /** How many connections it may hold at once to one server. */
  readonly connections: number;
  /** What must never show in an error. */
  readonly secrets: readonly string[];
  /** Its own time limit, where it has one beside the attempt's. */
  readonly timeoutMs?: number;
}

/** A text that no error may quote. */
const privateText = 'the private text of 47114711';

const content: Content = {
  notificationId: 'note-1',
  type: 'order.shipped',
  subjectRef: '42',
  subjectType: 'order',
  title: 'title',
  body: privateText,
  urgency: undefined,
  data: undefined,
  actionUrl: undefined,
  iconUrl: undefined,
  actions: [],
  expiresAtMs: 0n,
};

export function channelConformance(name: string, subject: ChannelCase): void;
/** @param wire the protocol, where it is not HTTP/1.1 */
export function channelConformance<Request, Answer>(
  name: string,
  subject: ChannelCase<Request, Answer>,
  wire: Wire<Request, Answer>,
): void;
export function channelConformance(
  name: string,
  subject: ChannelCase<Received, Reply>,
  wire: Wire<Received, Reply> = http1,
): void {
  const { retryAfter, earlyVerdict, tls: noTls } = wire.lacks;

  describe(`the provider ${name}`, () => {
    /** One test's ground. */
    async function ground(t: TestContext, at?: string) {
      const server = await wire.listen(t);
      server.play(subject.accepted().reply);
      const clock = fakeClock();
      const base = at ?? server.url;
      const provider = subject.open(t, base, clock);
      t.after(() => provider.close?.());
      let count = 0;
      const send = (
        over: {
          destination?: string;
          content?: Partial<Content>;
          rendered?: RenderedContent;
          signal?: AbortSignal;
          again?: boolean;
        } = {},
      ): Promise<SendReceipt> => {
        if (over.again !== true) count += 1;
        const id = `01a20154-4c24-73da-a2b6-${String(count).padStart(12, '0')}`;
        const message: ChannelMessage = {
          tenantId: 'demo',
          userId: 'ada',
          id,
          deliveryId: id,
          destination: over.destination ?? subject.destination(base),
          createdAtMs: BigInt(clock.now()),
          content: { ...content, ...over.content },
          rendered: over.rendered,
        };
        return provider.send(message, {
          signal: over.signal ?? new AbortController().signal,
          idempotencyKey: id,
        });
      };
      /** How a send fails, which must not tell what is private. */
      const failure = async (sending: Promise<SendReceipt>): Promise<DeliveryError> => {
        const error: unknown = await sending.then(
          () => assert.fail('it was taken'),
          (thrown: unknown) => thrown,
        );
        assert.ok(error instanceof DeliveryError, inspect(error));
        const shown = inspect(error, { depth: 20, showHidden: true, maxStringLength: null });
        for (const secret of [privateText, ...subject.secrets])
          assert.ok(!shown.includes(secret), `the error tells ${secret}: ${shown}`);
        return error;
      };
      /** That an answer is a failure of a kind. */
      const fails = async (answer: Reply | Fault<Reply>, expected: { code: string; retryable: boolean }) => {
        server.play(answer);
        const { code, retryable } = await failure(send());
        assert.deepEqual({ code, retryable }, expected);
      };
      const understood = () => server.received.map((request) => subject.understand(request, base));
      /** The id that the server gave the newest message. */
      const givenId = () => {
        const { id } = subject.accepted();
        const newest = server.received.at(-1) ?? assert.fail('nothing came');
        return typeof id === 'string' ? id : id(newest);
      };
      return { server, clock, provider, send, failure, fails, understood, givenId };
    }

    it('hands a message over, and tells the id that it is given', async (t) => {
      const { send, understood, givenId } = await ground(t);
      assert.equal((await send()).providerMessageId, givenId());
      const [message, second] = understood();
      assert.equal(second, undefined);
      assert.ok(message?.text.includes(privateText));
    });

    for (const { when, reply, code } of subject.permanent)
      it(`gives up on ${when}`, async (t) => (await ground(t)).fails(reply, { code, retryable: false }));

    for (const { when, reply, code } of subject.transient)
      it(`comes back after ${when}`, async (t) => (await ground(t)).fails(reply, { code, retryable: true }));

    for (const { when, reply, code } of subject.credentials ?? [])
      it(`waits for an operator on ${when}`, async (t) =>
        (await ground(t)).fails(reply, { code, retryable: true }));

    for (const { when, reply, code } of subject.dead ?? [])
      it(`knows a dead destination by ${when}`, async (t) => {
        assert.ok(code === codes.destinationGone || deadDestination.has(code), code);
        await (await ground(t)).fails(reply, { code, retryable: false });
      });

    const { repeatKey, throttled } = subject;
    const noKey = repeatKey === undefined && 'it has nothing to know a repeat by';
    it('lets a message be known that comes a second time', { skip: noKey }, async (t) => {
      const { server, send } = await ground(t);
      await send();
      await send({ again: true });
      await send();
      const [first, second, other] = server.received.map((request) => repeatKey?.(request));
      assert.ok(first);
      assert.deepEqual(second, first);
      assert.notDeepEqual(other, first);
    });

    const noTime = retryAfter ?? (throttled === undefined && 'it never says until when');
    it('honours the time that it is told to wait, in seconds and as a date', { skip: noTime }, async (t) => {
      const { server, clock, send, failure } = await ground(t);
      const date = (ms: number) => new Date(clock.now() + ms).toUTCString();
      for (const [value, afterMs] of [
        ['17', 17_000],
        ['0', 0],
        [date(90_000), 90_000],
        [date(-90_000), 0],
        ['soon', undefined],
        ['-5', undefined],
        ['99999999999999999999', undefined],
      ] as const) {
        server.play(throttled?.({ 'retry-after': value }) ?? assert.fail());
        const error = await failure(send());
        assert.equal(error.retryable, true);
        assert.equal(error.retryAfterMs, afterMs, value);
      }
    });

    it('comes back after a connection that is reset, and one that is refused', async (t) => {
      const { server, fails, send, failure } = await ground(t);
      await fails('reset', { code: codes.connectionFailed, retryable: true });
      await server.close();
      assert.equal((await failure(send())).code, codes.connectionFailed);
    });

    const comesFirst = { skip: earlyVerdict ?? false };
    it(
      'takes a verdict for the answer when the rest breaks off: asking again could send twice',
      comesFirst,
      async (t) => {
        const { server, send, fails, givenId } = await ground(t);
        server.play({ half_body: subject.accepted().reply });
        const { providerMessageId } = await send();
        assert.equal(providerMessageId, subject.idInHead ? givenId() : '');
        const { reply, code } = wire.busy('');
        await fails({ half_body: reply }, { code, retryable: true });
      },
    );

    it('comes back after half an answer, where the verdict is at its end', {
      skip: earlyVerdict === undefined && 'it is at its beginning',
    }, async (t) => {
      const { server, send, failure } = await ground(t);
      server.play({ half_body: subject.accepted().reply });
      assert.equal((await failure(send())).retryable, true);
    });

    it('reads no more of an answer than 16 KiB', { ...comesFirst, timeout: 4_000 }, async (t) => {
      const { fails } = await ground(t);
      // whoever wants more than the half that comes waits for ever
      const { reply, code } = wire.busy('x'.repeat(60_000));
      await fails({ hang_body: reply }, { code, retryable: true });
    });

    it('ends with its attempt', async (t) => {
      const { server, send, failure } = await ground(t);
      server.play('hang');
      const abort = new AbortController();
      const failed = failure(send({ signal: abort.signal }));
      await eventually('the request', () => server.received.length === 1);
      abort.abort();
      const { code, retryable } = await failed;
      assert.deepEqual([code, retryable], [codes.interrupted, true]);
    });

    it('does not begin an attempt that was aborted before', async (t) => {
      const { server, send, failure } = await ground(t);
      assert.equal((await failure(send({ signal: AbortSignal.abort() }))).code, codes.interrupted);
      assert.equal(server.received.length, 0);
    });

    it('has a time limit', { skip: subject.timeoutMs === undefined && "the attempt's alone" }, async (t) => {
      const { server, clock, send, failure } = await ground(t);
      const timeoutMs = subject.timeoutMs ?? 0;
      server.play('hang');
      const failed = failure(send());
      await eventually('the request', () => server.received.length === 1);
      await clock.advance(timeoutMs - 1);
      const early = await Promise.race([failed, new Promise((resolve) => setImmediate(resolve, 'pending'))]);
      assert.equal(early, 'pending');
      await clock.advance(1);
      const { code, retryable } = await failed;
      assert.deepEqual([code, retryable], [codes.timeout, true]);
      assert.equal(clock.pending, 0);
    });

    it('comes back when TLS fails: a certificate that nobody signed is not trusted', {
      skip: noTls,
    }, async (t) => {
      const tls = await wire.listen(t, true);
      const { send, failure } = await ground(t, tls.url);
      const { code, retryable } = await failure(send());
      assert.deepEqual([code, retryable], [codes.tlsFailed, true]);
      assert.equal(tls.received.length, 0);
    });

    it('comes back when the name cannot be resolved', async (t) => {
      const { send, failure } = await ground(t, 'https://nobody.invalid');
      const { code, retryable } = await failure(send());
      assert.deepEqual([code, retryable], [codes.dnsFailed, true]);
    });

    it('makes 200 attempts at once over a few connections, and keeps those', async (t) => {
      const { server, send, understood } = await ground(t);
      const text = (i: number) => `message number ${i}.`;
      const all = Array.from({ length: 200 }, (_, i) => send({ content: { body: text(i) } }));
      assert.equal((await Promise.all(all)).length, 200);
      assert.equal(server.received.length, 200);
      const texts = understood().map((message) => message.text);
      for (let i = 0; i < 200; i++) assert.equal(texts.filter((one) => one.includes(text(i))).length, 1);
      assert.ok(server.connections <= subject.connections, `${server.connections} connections`);
      const before = server.connections;
      await send();
      assert.equal(server.connections, before, 'kept alive');
    });

    it('carries every script and sign unchanged', async (t) => {
      const { send, understood } = await ground(t);
      const texts = [
        'Größe, naïve, Ångström',
        '👩‍👩‍👧‍👦 🏳️‍🌈 \u{1f1e8}\u{1f1ed}',
        'مرحبا بالعالم \u200f!\u202b',
        '日本語 ไทย हिन्दी',
        'a=b&c=d%20e+f;g<h>"i"\\j\'k',
      ];
      for (const body of texts) await send({ content: { body } });
      understood().forEach(({ text }, i) => {
        assert.ok(text.includes(texts[i] ?? '?'), `${text} instead of ${texts[i]}`);
      });
    });

    it('takes an empty body, and the largest message', async (t) => {
      const { send, understood } = await ground(t);
      await send({ content: { body: '' } });
      await send({ content: subject.longest });
      const [empty, large] = understood();
      assert.ok(empty?.text.includes('title'));
      assert.ok(large?.text.includes(subject.longest.body ?? '?'));
    });

    for (const [i, impossible] of (subject.impossible ?? []).entries())
      it(`refuses what it could not send, without asking (${i + 1})`, async (t) => {
        const { server, send, failure } = await ground(t);
        const { code, retryable } = await failure(send({ content: impossible }));
        assert.deepEqual([code, retryable], [codes.messageRefused, false]);
        assert.equal(server.received.length, 0);
      });

    it('lets no line break of a field become a header or a command', async (t) => {
      const { server, send, understood } = await ground(t);
      const evil = 'x\r\nX-Injected: 1\r\n\r\nGET / HTTP/1.1\r\n';
      await send({
        content: {
          notificationId: evil,
          type: evil,
          subjectRef: evil,
          subjectType: evil,
          title: evil,
          body: evil,
          actionUrl: evil,
          iconUrl: evil,
          actions: [{ label: evil, url: evil }],
          data: JSON.stringify({ [evil]: evil }),
        },
      });
      assert.equal(server.received.length, 1);
      const [request] = server.received;
      assert.equal(request && wire.headerOf(request, 'x-injected'), undefined);
      const text = understood()[0]?.text ?? '';
      if (subject.titleIsOneLine)
        assert.ok(text.includes(evil) && !text.startsWith(evil), 'the body as it was');
      else assert.equal(text.split(evil).length, 3, 'title and body as they were');
    });

    it('lets no line break of what is said for the channel alone become one', async (t) => {
      const { server, send, understood } = await ground(t);
      const evil = 'x\r\nX-Injected: 1\r\nBcc: eve@example.org\r\n\r\n.\r\nRCPT TO:<eve@example.org>\r\n';
      const replyTo = `Eve <eve@example.org>\r\nX-Injected: 1`;
      await send({ rendered: { subject: evil, body: evil, html: `<p>${evil}</p>`, replyTo } });
      const [request, second] = server.received;
      assert.ok(request && second === undefined);
      for (const header of ['x-injected', 'bcc']) assert.equal(wire.headerOf(request, header), undefined);
      // to nobody else either
      assert.equal(understood().length, 1);
    });

    it('refuses a destination that is none, without asking', async (t) => {
      const { server, send, failure } = await ground(t);
      const good = subject.destination(server.url);
      const broken = ['\r\nX-Injected: 1', '\n', '\0', ' ', '\u2028']
        .filter((end) => !subject.harmlessEnds?.includes(end))
        .map((end) => good + end);
      for (const destination of ['', ...broken, ...subject.wrongDestinations]) {
        const { code, retryable } = await failure(send({ destination }));
        assert.deepEqual([code, retryable], [codes.invalidDestination, false], JSON.stringify(destination));
      }
      assert.equal(server.received.length, 0);
    });
  });
}
