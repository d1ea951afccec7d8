import fp from 'fastify-plugin';
import { Devices } from '../../src/core/devices.ts';

declare module 'fastify' {
  interface FastifyInstance {
    devices: Devices;
  }
}

/** Push endpoints of recipients. */
export default fp(
  async (app) => {
    app.decorate('devices', new Devices(app.store, app.storeAmbient));
  },
  { name: 'devices', dependencies: ['store'] },
);
