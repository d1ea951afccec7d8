import { type KeyObject, X509Certificate } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { NotifyError } from '../../../../src/core/errors.ts';
import { get } from '../../http/get.ts';

/** Certificates that are kept. AWS has one at a time in a region, and a new one now and then. */
const keptCertificates = 16;
/** Fetches under way: whoever posts here chooses the file's name, and must not make a flood of them. */
const fetchesAtOnce = 4;

/** The keys that SNS signs with, by the URLs of their certificates. Each is fetched once, however many messages wait for it. */
export class SnsCertificates {
  readonly #dispatcher: Dispatcher;
  readonly #keys = new Map<string, KeyObject>();
  readonly #fetches = new Map<string, Promise<KeyObject>>();

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  /**
   * @param url whose host has been checked
   * @throws NotifyError unavailable where it cannot be had at the moment
   */
  async key(url: string): Promise<KeyObject> {
    const known = this.#keys.get(url) ?? this.#fetches.get(url);
    if (known !== undefined) return known;
    if (this.#fetches.size >= fetchesAtOnce) throw away();
    const fetched = this.#fetch(url).finally(() => this.#fetches.delete(url));
    this.#fetches.set(url, fetched);
    const key = await fetched;
    const [oldest] = this.#keys.keys();
    if (this.#keys.size >= keptCertificates && oldest !== undefined) this.#keys.delete(oldest);
    this.#keys.set(url, key);
    return key;
  }

  async #fetch(url: string): Promise<KeyObject> {
    try {
      const { status, body } = await get(this.#dispatcher, new URL(url));
      const { publicKey } = new X509Certificate(body);
      if (status === 200 && publicKey.asymmetricKeyType === 'rsa') return publicKey;
    } catch {
      // said below
    }
    throw away();
  }
}

const away = (): NotifyError =>
  new NotifyError('unavailable', 'the certificate of SNS cannot be fetched at the moment', {
    retryAfterMs: 5_000,
  });
