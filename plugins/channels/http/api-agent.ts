import { Agent } from 'undici';

/** How many connections one provider's API gets at once; they are kept. */
const connections = 10;
const connectTimeoutMs = 10_000;

/** An HTTP client for a provider's API, whose address an operator chose. No proxy variable is read. */
export const apiAgent = (): Agent =>
  new Agent({ allowH2: false, connections, connect: { timeout: connectTimeoutMs } });
