import type { OpenTransport } from '../open.ts';
import { PostgresTransport } from './postgres-transport.ts';

/** LISTEN and NOTIFY of the store's own database. */
export const openPostgresTransport: OpenTransport = async (app) => {
  if (app.postgresDirect === undefined) throw new Error('the postgres backplane needs the postgres store');
  return new PostgresTransport(app.postgresDirect);
};
