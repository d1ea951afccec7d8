import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { EgressRefused } from '../../src/core/egress/refused.ts';
import { connectionsPerServer, type EgressRules, mayConnect } from '../../src/core/egress/target.ts';

/** All addresses of a host name. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface GuardedAgentOptions {
  readonly resolve: Resolve;
  /** Authorities to trust in place of the usual ones. */
  readonly ca?: string;
}

const connectTimeoutMs = 5_000;

/**
 * An HTTP client for URLs that somebody else chose. A name is looked up once, all its addresses are checked, and the
 * connection goes to one of those: a second look-up could answer something else (DNS rebinding). Redirects are not followed,
 * and no proxy variable is read.
 */
export function guardedAgent(rules: EgressRules, { resolve, ca }: GuardedAgentOptions): Agent {
  const connector = (protocol: string) =>
    buildConnector({
      allowH2: false,
      timeout: connectTimeoutMs,
      lookup: checkedLookup(rules, protocol, resolve),
      ...(ca !== undefined && { ca }),
    } as buildConnector.BuildOptions);
  const connectors = { 'https:': connector('https:'), 'http:': connector('http:') };
  return new Agent({
    allowH2: false,
    connections: connectionsPerServer,
    connect(options, callback) {
      const { hostname } = options;
      const protocol = options.protocol === 'http:' ? 'http:' : 'https:';
      // an address is not looked up
      if (isIP(hostname) !== 0 && !mayConnect(rules.addresses, hostname, protocol))
        callback(EgressRefused.privateAddress(), null);
      else connectors[protocol](options, callback);
    },
  });
}

/** A look-up that answers nothing unless all of a name's addresses may be connected to. */
function checkedLookup({ addresses }: EgressRules, protocol: string, resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (found) => {
        const [first] = found;
        if (first === undefined) {
          callback(Object.assign(new Error('the host name has no address'), { code: 'ENOTFOUND' }), []);
        } else if (!found.every(({ address }) => mayConnect(addresses, address, protocol))) {
          callback(EgressRefused.privateAddress() as unknown as NodeJS.ErrnoException, []);
        } else if (options.all) callback(null, [...found]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}
