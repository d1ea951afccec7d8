import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backplaneObserver } from '../../../plugins/backplane/observer.ts';
import { fakeClock } from '../../support/ambient.ts';
import { logFile } from '../../support/log.ts';

describe('the log of a backplane', () => {
  it('says each minute why it is still lost', async (t) => {
    const log = logFile(t);
    const clock = fakeClock();
    const observer = backplaneObserver(log.logger, () => {}, clock, 'redis');
    observer.lost(new Error('refused'));
    for (let second = 0; second < 150; second++) {
      await clock.advance(1_000);
      observer.stillLost(new Error('wrong password'));
    }
    const said = log
      .lines()
      .map(({ msg, err }) => [String(msg).split(':')[0], (err as { message: string }).message]);
    assert.deepEqual(said, [
      ['backplane_lost', 'refused'],
      ['backplane_lost', 'wrong password'],
      ['backplane_lost', 'wrong password'],
    ]);
  });

  it('says a failure that keeps coming every ten seconds, and how often it came meanwhile', async (t) => {
    const log = logFile(t);
    const clock = fakeClock();
    const observer = backplaneObserver(log.logger, () => {}, clock, 'redis');
    for (let i = 0; i < 1_000; i++) {
      observer.failed('understand another replica', new Error('malformed'));
      await clock.advance(12);
    }
    observer.failed('send to the other replicas', new Error('timeout'));
    assert.deepEqual(
      log.lines('backplane_failed').map(({ what, untold }) => [what, untold]),
      [
        ['understand another replica', undefined],
        ['understand another replica', 833],
        ['send to the other replicas', undefined],
      ],
    );
  });
});
