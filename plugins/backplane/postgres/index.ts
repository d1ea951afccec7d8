import type { TransportOf } from '../transport-of.ts';
import { postgresTransport } from './postgres-transport.ts';

/** LISTEN and NOTIFY of the store's own database. */
export const postgresTransportOf: TransportOf = async (app) => {
  if (app.postgresDirect === undefined) throw new Error('the postgres backplane needs the postgres store');
  return postgresTransport(app.postgresDirect);
};
