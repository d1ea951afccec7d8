import { Agent } from 'undici';

/** How many connections one provider's API usually gets at once; they are kept. */
const usualConnections = 10;
const connectTimeoutMs = 10_000;

/** An HTTP client for a provider's API, whose address an operator chose. No proxy variable is read. */
export const apiAgent = (connections = usualConnections): Agent =>
  new Agent({ allowH2: false, connections, connect: { timeout: connectTimeoutMs } });
