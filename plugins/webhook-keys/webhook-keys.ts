import { createHmac } from 'node:crypto';

const prefix = 'whsec_';

/**
 * The signing keys of webhook receivers. Each tenant and URL has its own, derived from the master, so that nothing is stored
 * and no receiver can sign for another.
 */
export class WebhookKeys {
  readonly #masters: readonly Buffer[];

  /** @param masters `whsec_…`, the current one first */
  constructor(masters: readonly string[]) {
    this.#masters = masters.map((master) => Buffer.from(master.slice(prefix.length), 'base64'));
  }

  /**
   * The keys that a message to a URL is signed with: one for each master, so that receivers may change over while the master
   * is changed. The first is the one to show.
   * @param url exactly as in the address: another spelling has another key
   */
  of(tenantId: string, url: string): readonly string[] {
    return this.#masters.map((master) => {
      // no tenant holds a NUL, so no two pairs meet
      const key = createHmac('sha256', master).update(`${tenantId}\0${url}`, 'utf8').digest('base64');
      return `${prefix}${key}`;
    });
  }
}
