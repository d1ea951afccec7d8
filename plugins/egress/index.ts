import { lookup } from 'node:dns/promises';
import fp from 'fastify-plugin';
import type { Dispatcher } from 'undici';
import type { Config } from '../../src/config.ts';
import { AddressRules } from '../../src/core/egress/address.ts';
import { egressTarget } from '../../src/core/egress/target.ts';
import { guardedAgent } from './guarded-agent.ts';

/** The only way to URLs that a user or a recipient chose. */
export interface Egress {
  /** Reads such a URL. @throws EgressRefused */
  target(url: string): URL;
  /** Connects to it; fails with EgressRefused where its name leads to what it must not. */
  readonly agent: Dispatcher;
}

declare module 'fastify' {
  interface FastifyInstance {
    egress: Egress;
  }
}

export default fp<{ config: Config }>(
  async (app, { config }) => {
    const { allow, allowHttp } = config.egress;
    const rules = { addresses: new AddressRules(allow), allowHttp };
    const agent = guardedAgent(rules, { resolve: (hostname) => lookup(hostname, { all: true }) });
    app.decorate('egress', { target: (url) => egressTarget(url, rules), agent });
    app.addHook('onClose', () => agent.destroy());
  },
  { name: 'egress' },
);
