import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Connection {
  /** Requests and responses that have begun and have not closed. */
  open: number;
  /** `bytesRead` when the last of them closed; what has come since belongs to a request that is still arriving. */
  readTo: number;
  /** The newest of the responses, until all of them have closed. */
  response: ServerResponse | undefined;
}

/**
 * The HTTP/1.1 connections of a server, and which of them nobody would miss.
 *
 * Node's own closeIdleConnections() takes a response for done once end() was called, and destroys connections on which a large
 * one is still being written.
 */
export class Http1Connections {
  readonly #connections = new Map<Socket, Connection>();

  constructor(server: Server) {
    server.prependListener('request', (request, response) => {
      const { socket } = request;
      const connection = this.#connections.get(socket);
      if (connection === undefined) return;
      const close = () => {
        connection.open -= 1;
        if (connection.open === 0) connection.response = undefined;
        connection.readTo = socket.bytesRead;
      };
      connection.open += 2;
      connection.response = response;
      request.on('close', close);
      response.on('close', close);
    });
  }

  add(socket: Socket): void {
    this.#connections.set(socket, { open: 0, readTo: 0, response: undefined });
    socket.on('close', () => this.#connections.delete(socket)).on('end', () => this.#peerEnded(socket));
  }

  /**
   * A peer that has closed its half may still wait for an answer. From a stream it has gone, as far as anybody knows: kept, the
   * next event would count as delivered.
   */
  #peerEnded(socket: Socket): void {
    const response = this.#connections.get(socket)?.response;
    if (response?.headersSent && !response.writableEnded) socket.end();
  }

  sockets(): Iterable<Socket> {
    return this.#connections.keys();
  }

  /** Destroys those with a request that has not arrived as a whole. */
  closeArriving(): void {
    for (const [socket, { open, response }] of this.#connections)
      if (open === 0 ? socket.writableLength === 0 : response?.req.complete === false) socket.destroy();
  }

  /** Destroys those without a request under way whose answers have left this process to the last byte. */
  closeIdle(): void {
    for (const [socket, { open, readTo }] of this.#connections) {
      const isArriving = socket.bytesRead > readTo && !socket.writableEnded;
      if (open === 0 && !isArriving && socket.writableLength === 0) socket.destroy();
    }
  }
}
