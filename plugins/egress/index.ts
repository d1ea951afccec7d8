import { lookup } from 'node:dns/promises';
import fp from 'fastify-plugin';
import type { Dispatcher } from 'undici';
import type { Config } from '../../src/config.ts';
import { AddressRules } from '../../src/core/egress/address.ts';
import { egressTarget } from '../../src/core/egress/target.ts';

/** The only way to URLs that a user or a recipient chose. */
export interface Egress {
  /** Reads such a URL. @throws EgressRefused */
  target(url: string): URL;
  /** Connects to it; fails with EgressRefused where its name leads to what it must not. The same one for everybody. */
  agent(): Promise<Dispatcher>;
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
    const open = async (): Promise<Dispatcher> => {
      // loaded by those who use it: it doubles the time that a start takes
      const { guardedAgent } = await import('./guarded-agent.ts');
      return guardedAgent(rules, { resolve: (hostname) => lookup(hostname, { all: true }) });
    };
    let agent: Promise<Dispatcher> | undefined;
    app.decorate('egress', {
      target: (url) => egressTarget(url, rules),
      agent() {
        agent ??= open();
        return agent;
      },
    });
    app.addHook('onClose', async () => (await agent)?.destroy());
  },
  { name: 'egress' },
);
