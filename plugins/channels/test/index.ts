import fp from 'fastify-plugin';
import { TestMailbox } from './mailbox.ts';
import { TestScript } from './script.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** What the test providers were given, and what they are told to do. Empty where no channel has one. */
    testProviders: { readonly mailbox: TestMailbox; readonly script: TestScript };
  }
}

/** What the test providers of all channels share. */
export default fp(
  async (app) => {
    const mailbox = new TestMailbox(app.ambient.ids.random());
    app.decorate('testProviders', { mailbox, script: new TestScript() });
  },
  { name: 'test-providers', dependencies: ['ambient'] },
);
