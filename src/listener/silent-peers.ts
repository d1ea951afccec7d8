import { open, readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { endianness } from 'node:os';
import ipaddr from 'ipaddr.js';

/** Tables of this network namespace's connections (proc_net_tcp(5), proc_pid_net(5)). */
const tables = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];

/** Counters of the same namespace, in pairs of lines: names, values (Documentation/networking/snmp_counter.rst of Linux). */
const counters = '/proc/self/net/netstat';

/**
 * A connection that waits for an acknowledgement (timer 1) and has sent the same bytes again so often without one. TCP doubles its
 * patience each time, beginning at 200 ms at least: the sixth time is 12.6 s after the first, and later on a slow path.
 */
const silentAfter = 6;

/** Of an established connection's row: local port, remote address and port, and how often it has sent again. */
const waiting =
  /: [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) 01 [0-9A-F]{8}:[0-9A-F]{8} 01:[0-9A-F]{8} ([0-9A-F]{8}) /g;

/**
 * Finds the peers that have gone without a word while bytes were on their way to them, and resets their connections. TCP's keep-alive does
 * not look while bytes wait for an acknowledgement, and TCP itself gives such a peer up after a quarter of an hour only; Node can set
 * no TCP_USER_TIMEOUT. So what Linux tells of its connections is read now and then. Elsewhere it does nothing.
 */
export class SilentPeers {
  readonly #sockets: () => Iterable<Socket>;
  readonly #timer: NodeJS.Timeout;
  #isLooking = false;
  /** As of the last look. */
  #timeouts = 0;

  /** @param sockets the connections to look after */
  constructor(everyMs: number, sockets: () => Iterable<Socket>) {
    this.#sockets = sockets;
    this.#timer = setInterval(() => void this.#look(), everyMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const [any] = this.#sockets();
    if (any === undefined || this.#isLooking) return;
    this.#isLooking = true;
    const silent = new Set<string>();
    const timeouts = await tcpTimeouts();
    // to read of 10,000 connections takes 40 ms; where TCP has lost patience with none since, nobody has fallen silent
    if (timeouts !== this.#timeouts)
      for (const table of tables) await eachPart(table, (rows) => find(rows, silent));
    this.#timeouts = timeouts;
    this.#isLooking = false;
    if (silent.size === 0) return;
    for (const socket of this.#sockets()) if (silent.has(keyOf(socket))) socket.resetAndDestroy();
  }
}

/** How often any connection has sent something again for want of an acknowledgement; NaN, which is like nothing, where none says. */
async function tcpTimeouts(): Promise<number> {
  const text = await readFile(counters, 'latin1').catch(() => '');
  const [names = [], values = []] = text
    .split('\n')
    .filter((line) => line.startsWith('TcpExt: '))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('TCPTimeouts')] ?? Number.NaN);
}

/** Adds the connections among these rows whose peer is silent. */
function find(rows: string, silent: Set<string>): void {
  for (const [, localPort = '', address = '', port = '', again = ''] of rows.matchAll(waiting))
    if (Number.parseInt(again, 16) >= silentAfter)
      silent.add(key(Number.parseInt(localPort, 16), readable(address), Number.parseInt(port, 16)));
}

/** Hands a file over in parts of whole lines; nothing of one that cannot be read. */
async function eachPart(path: string, take: (rows: string) => void): Promise<void> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return;
  try {
    const buffer = Buffer.allocUnsafe(64 * 1024);
    for (let rest = ''; ; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      const text = rest + buffer.toString('latin1', 0, bytesRead);
      const end = text.lastIndexOf('\n') + 1;
      take(text.slice(0, end));
      rest = text.slice(end);
    }
  } catch {
    // it will be looked at again
  } finally {
    await file.close();
  }
}

/** An address as the tables write it, in 32-bit words of the machine's byte order. */
function readable(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  return ipaddr.process(ipaddr.fromByteArray([...bytes]).toString()).toString();
}

const keyOf = ({ localPort, remoteAddress, remotePort }: Socket): string =>
  remoteAddress === undefined
    ? ''
    : key(localPort ?? 0, ipaddr.process(remoteAddress).toString(), remotePort ?? 0);

const key = (localPort: number, address: string, port: number): string => `${localPort} ${address} ${port}`;
