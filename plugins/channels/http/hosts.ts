import type { ServersOfDestinations } from '../../../src/core/channel.ts';
import { connectionsPerServer } from '../../../src/core/egress/target.ts';

/**
 * The servers of destinations that are URLs, each of which the egress guard reaches: a host with its port is one.
 * @param urlOf of a destination that is more than that
 */
export const hosts = (urlOf = (destination: string) => destination): ServersOfDestinations => ({
  of: (destination) => URL.parse(urlOf(destination))?.host ?? '',
  atOnce: connectionsPerServer,
});
