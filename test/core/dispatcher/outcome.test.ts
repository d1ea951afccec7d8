import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { backoffMs } from '../../../src/core/dispatcher/backoff.ts';
import { type Job, outcomeOf, verdictOf } from '../../../src/core/dispatcher/outcome.ts';
import type { Delivery, Notification } from '../../../src/core/glossary.ts';

const hourMs = 3_600_000;
const retry = { baseMs: 10_000, maxMs: hourMs, forMs: { email: 24 * hourMs } };
const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('the pause before another attempt', () => {
  it('is random between nothing and the base doubled with each attempt, never above the maximum', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), unit, (attempts, random) => {
        const pause = backoffMs(attempts, retry, () => random);
        assert.ok(Number.isInteger(pause) && pause >= 0);
        assert.ok(pause <= Math.min(retry.maxMs, retry.baseMs * 2 ** (attempts - 1)));
      }),
    );
  });

  it('spreads over the whole of that', () => {
    const at = (attempts: number) =>
      [0, 0.5, 0.999_999].map((random) => backoffMs(attempts, retry, () => random));
    assert.deepEqual(at(1), [0, 5_000, 9_999]);
    assert.deepEqual(at(3), [0, 20_000, 39_999]);
    assert.deepEqual(at(50), [0, hourMs / 2, 3_599_996]);
  });
});

const job = (over: { delivery?: Partial<Delivery>; expiresAtMs?: bigint; crashes?: number } = {}): Job => ({
  notification: {
    tenantId: 't',
    userId: 'u',
    id: 'n',
    expiresAtMs: over.expiresAtMs ?? 0n,
  } as Notification,
  delivery: { id: 'd', channel: 'email', attempts: 0, firstDueAtMs: 0n, ...over.delivery } as Delivery,
  leaseToken: 'token',
  crashes: over.crashes ?? 0,
});
const failing = (retryable: boolean, retryAfterMs?: number) => ({
  startedAtMs: 0,
  durationMs: 5,
  provider: 'smtp',
  providerMessageId: '',
  detail: '',
  failure: { code: 'http_503', detail: 'away', retryable, retryAfterMs, cause: undefined },
});

describe('what becomes of a delivery', () => {
  const limits = { crashLimit: 3, isDead: false };
  it('that its provider refused for good: failed, at once', () => {
    const outcome = outcomeOf(job(), [failing(false)], retry, 1_000, () => 0.5);
    assert.deepEqual([outcome.status, outcome.reason, outcome.dueAtMs], ['failed', 'http_503', 0n]);
  });

  it('that failed for the moment: due again inside its horizon and its time, or failed', () => {
    fc.assert(
      fc.property(
        fc.nat(30 * hourMs),
        fc.nat(40),
        unit,
        fc.option(fc.nat(30 * hourMs), { nil: undefined }),
        fc.option(fc.integer({ min: 1, max: 30 * hourMs }), { nil: undefined }),
        (nowMs, attempts, random, retryAfterMs, expiresAtMs) => {
          const one = job({ delivery: { attempts }, expiresAtMs: BigInt(expiresAtMs ?? 0) });
          const { status, dueAtMs } = outcomeOf(
            one,
            [failing(true, retryAfterMs)],
            retry,
            nowMs,
            () => random,
          );
          const horizonMs = BigInt(24 * hourMs);
          const hasExpired = expiresAtMs !== undefined && expiresAtMs <= nowMs;
          assert.equal(status === 'suppressed', hasExpired);
          if (hasExpired) return;
          if (status === 'failed') {
            assert.equal(dueAtMs, 0n);
            // nothing is given up that could be tried before its horizon
            const latest = BigInt(nowMs) + BigInt(Math.max(retryAfterMs ?? 0, hourMs));
            assert.ok(latest > horizonMs);
            return;
          }
          assert.equal(status, 'pending');
          assert.ok(dueAtMs <= horizonMs || dueAtMs === BigInt(expiresAtMs ?? 0));
          if (dueAtMs !== BigInt(expiresAtMs ?? 0)) assert.ok(dueAtMs >= BigInt(nowMs + (retryAfterMs ?? 0)));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('counts its horizon from when it was due first', () => {
    const late = job({ delivery: { firstDueAtMs: BigInt(100 * hourMs) } });
    assert.equal(outcomeOf(late, [failing(true)], retry, 123 * hourMs, () => 0.5).status, 'pending');
    assert.equal(outcomeOf(late, [failing(true)], retry, 125 * hourMs, () => 0.5).status, 'failed');
  });

  it('that failed because its provider is down: due at the next probe, however late, but for its expiry', () => {
    const health = { providers: 1, downMs: 0, probeAtMs: 30 * hourMs + 5_000 };
    const late = outcomeOf(job(), [failing(true)], retry, 30 * hourMs, () => 0.5, health);
    assert.deepEqual([late.status, late.dueAtMs], ['pending', BigInt(30 * hourMs + 5_000)]);
    const over = job({ expiresAtMs: BigInt(30 * hourMs + 4_000) });
    const expiring = outcomeOf(over, [failing(true)], retry, 30 * hourMs, () => 0.5, health);
    assert.deepEqual([expiring.status, expiring.dueAtMs], ['pending', BigInt(30 * hourMs + 4_000)]);
    const final = outcomeOf(job(), [failing(false)], retry, 30 * hourMs, () => 0.5, health);
    assert.equal(final.status, 'failed');
  });

  it('has so much longer as its provider was down', () => {
    const failed = (downMs: number) =>
      outcomeOf(job(), [failing(true)], retry, 25 * hourMs, () => 0, {
        providers: 1,
        downMs,
        probeAtMs: undefined,
      }).status;
    assert.deepEqual([failed(0), failed(2 * hourMs)], ['failed', 'pending']);
  });

  it('keeps what the attempt was, as failed where it is to be repeated', () => {
    const { attempts } = outcomeOf(job(), [failing(true)], retry, 1_000, () => 0.5);
    assert.deepEqual(attempts, [
      {
        startedAtMs: 0n,
        durationMs: 5,
        provider: 'smtp',
        status: 'failed',
        reason: 'http_503',
        detail: 'away',
      },
    ]);
  });

  it('that has expired: suppressed, without an attempt', () => {
    assert.equal(verdictOf(job({ expiresAtMs: 1_001n }), [], limits, 1_000), undefined);
    const verdict = verdictOf(job({ expiresAtMs: 1_000n }), [], limits, 1_000);
    assert.deepEqual([verdict?.status, verdict?.reason, verdict?.attempts], ['suppressed', 'expired', []]);
  });

  it('that crashed three processes: set aside', () => {
    assert.equal(verdictOf(job({ crashes: 2 }), [], limits, 1_000), undefined);
    const verdict = verdictOf(job({ crashes: 3 }), [], limits, 1_000);
    assert.deepEqual([verdict?.status, verdict?.reason], ['failed', 'poison']);
  });
});
