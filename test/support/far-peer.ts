import { execFileSync, spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { TestProcess } from './process.ts';

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: 'ignore' });
};

/** The reason to pass as `skip`, where this machine lets nobody make a network. */
export const noFarPeers: string | false =
  spawnSync('ip', ['netns', 'add', 'notify-probe'], { stdio: 'ignore' }).status === 0 &&
  spawnSync('ip', ['netns', 'del', 'notify-probe'], { stdio: 'ignore' }).status === 0
    ? false
    : 'makes network namespaces, which takes Linux, iproute2 and root';

/** A network of this machine and one other, which can lose its address: then nothing answers any more, and nobody says so. */
export class FarNetwork {
  /** This machine's address in it. */
  readonly here: string;
  readonly #there: string;
  readonly #name: string;

  /** It goes with the test. */
  constructor(t: Pick<TestContext, 'after'>) {
    const id = process.pid % 60_000;
    this.#name = `notify-${id}`;
    const net = `10.${200 + (id >> 14)}.${(id >> 6) & 255}`;
    const first = (id & 63) * 4;
    this.here = `${net}.${first + 1}`;
    this.#there = `${net}.${first + 2}`;
    const [near, far] = [`nn${id}`, `nf${id}`];
    ip('netns', 'add', this.#name);
    t.after(() => {
      ip('link', 'del', near); // and its other end
      ip('netns', 'del', this.#name);
    });
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', this.#name);
    ip('addr', 'add', `${this.here}/30`, 'dev', near);
    ip('link', 'set', near, 'up');
    ip('-n', this.#name, 'addr', 'add', `${this.#there}/30`, 'dev', far);
    ip('-n', this.#name, 'link', 'set', far, 'up');
    // TCP waits at least 200 ms before it sends anything again, and twice as long each time: a test has no such patience
    ip('route', 'replace', `${net}.${first}/30`, 'dev', near, 'src', this.here, 'rto_min', '10ms');
    const address = execFileSync('ip', ['-n', this.#name, '-br', 'link', 'show', 'dev', far], {
      encoding: 'utf8',
    });
    ip(
      'neigh',
      'replace',
      this.#there,
      'lladdr',
      address.split(/\s+/)[2] ?? '',
      'dev',
      near,
      'nud',
      'permanent',
    );
  }

  /** Runs a script at the other end. */
  run(t: Pick<TestContext, 'after'>, script: string): TestProcess {
    return new TestProcess(t, 'ip', ['netns', 'exec', this.#name, process.execPath, '-e', script], {});
  }

  /** From now on the other end hears nothing, and says nothing. */
  vanish(): void {
    ip('-n', this.#name, 'addr', 'flush', 'to', this.#there);
  }
}
