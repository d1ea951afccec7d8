import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type Client,
  type Code,
  ConnectError,
  createClient,
  type Interceptor,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from '@connectrpc/connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import * as node from '@connectrpc/connect-node';
import * as web from '@connectrpc/connect-web';
import * as grpc from '@grpc/grpc-js';
import {
  NotificationClientService,
  NotificationInternalService,
} from '../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { InboxService } from '../../proto/gen/notify/v1/inbox_pb.ts';
import { ProducerService } from '../../proto/gen/notify/v1/producer_pb.ts';
import { as, type Service } from './build.ts';

/** A client library in one of its settings. */
export interface Library {
  readonly name: string;
  /** @param headers sent with every call */
  readonly transport: (baseUrl: string, headers: Record<string, string>) => Transport & { close?(): void };
}

const withHeaders =
  (headers: Record<string, string>): Interceptor =>
  (next) =>
  (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };

/** Everything is compressed, however small. */
const gzip = { sendCompression: node.compressionGzip, compressMinBytes: 0 };

const library = (
  name: string,
  make: (options: { baseUrl: string; interceptors: Interceptor[] }) => Transport,
): Library => ({
  name,
  transport: (baseUrl, headers) => make({ baseUrl, interceptors: [withHeaders(headers)] }),
});

export const libraries: readonly Library[] = [
  library('connect-node, Connect JSON, HTTP/1.1', (o) =>
    node.createConnectTransport({ ...o, httpVersion: '1.1', useBinaryFormat: false }),
  ),
  library('connect-node, Connect binary, HTTP/1.1, gzip', (o) =>
    node.createConnectTransport({ ...o, ...gzip, httpVersion: '1.1' }),
  ),
  library('connect-node, Connect JSON, HTTP/2, gzip', (o) =>
    node.createConnectTransport({ ...o, ...gzip, httpVersion: '2', useBinaryFormat: false }),
  ),
  library('connect-node, Connect binary, HTTP/2', (o) =>
    node.createConnectTransport({ ...o, httpVersion: '2' }),
  ),
  library('connect-node, gRPC binary', (o) => node.createGrpcTransport(o)),
  library('connect-node, gRPC JSON, gzip', (o) =>
    node.createGrpcTransport({ ...o, ...gzip, useBinaryFormat: false }),
  ),
  library('connect-node, gRPC-web binary, HTTP/1.1', (o) =>
    node.createGrpcWebTransport({ ...o, httpVersion: '1.1' }),
  ),
  library('connect-node, gRPC-web JSON, HTTP/2, gzip', (o) =>
    node.createGrpcWebTransport({ ...o, ...gzip, httpVersion: '2', useBinaryFormat: false }),
  ),
  library('connect-web, Connect JSON', (o) => web.createConnectTransport(o)),
  library('connect-web, Connect binary', (o) => web.createConnectTransport({ ...o, useBinaryFormat: true })),
  library('connect-web, gRPC-web binary', (o) => web.createGrpcWebTransport(o)),
  library('connect-web, gRPC-web JSON', (o) => web.createGrpcWebTransport({ ...o, useBinaryFormat: false })),
  { name: 'grpc-js', transport: grpcJsTransport },
];

/** The services as one library calls them: recipients' as one user, producers' with the internal token if any. */
export interface Clients {
  readonly recipient: Client<typeof NotificationClientService>;
  readonly inbox: Client<typeof InboxService>;
  readonly internal: Client<typeof NotificationInternalService>;
  readonly producer: Client<typeof ProducerService>;
}

/** @param t the test with which connections end */
export function clientsOf(
  t: { after(close: () => void): void },
  { transport }: Library,
  { url }: Service,
  user: string,
): Clients {
  const client = transport(url.client, as(user));
  const internal = transport(url.internal, {});
  for (const { close } of [client, internal]) if (close) t.after(close);
  return {
    recipient: createClient(NotificationClientService, client),
    inbox: createClient(InboxService, client),
    internal: createClient(NotificationInternalService, internal),
    producer: createClient(ProducerService, internal),
  };
}

/** grpc-js behind Connect's clients, so that one test speaks to all of them. Its errors become ConnectErrors. */
export function grpcJsTransport(
  baseUrl: string,
  headers: Record<string, string>,
): Transport & { close(): void } {
  const channel = new grpc.Client(new URL(baseUrl).host, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const common = <I extends DescMessage, O extends DescMessage>(method: {
    readonly parent: { readonly typeName: string };
    readonly name: string;
    readonly input: I;
    readonly output: O;
  }) => ({
    path: `/${method.parent.typeName}/${method.name}`,
    serialize: (message: MessageInitShape<I>) =>
      Buffer.from(toBinary(method.input, create(method.input, message))),
    deserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
  });
  const deadline = (timeoutMs: number | undefined): grpc.CallOptions =>
    timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };

  return {
    close: () => channel.close(),
    unary(method, signal, timeoutMs, _header, input) {
      const { path, serialize, deserialize } = common(method);
      return new Promise((resolve, reject) => {
        let header = new Headers();
        const call = channel.makeUnaryRequest(
          path,
          serialize,
          deserialize,
          input,
          metadata,
          deadline(timeoutMs),
          (error, message) => {
            if (error) reject(fromServiceError(error));
            else
              resolve({
                stream: false,
                service: method.parent,
                method,
                header,
                trailer: new Headers(),
                message,
              } as UnaryResponse<typeof method.input, typeof method.output>);
          },
        );
        call.on('metadata', (received) => {
          header = toHeaders(received);
        });
        signal?.addEventListener('abort', () => call.cancel());
      });
    },
    async stream(method, signal, timeoutMs, _header, input) {
      const { path, serialize, deserialize } = common(method);
      const first = await input[Symbol.asyncIterator]().next();
      if (first.done) throw new Error('a server stream takes one message');
      const call = channel.makeServerStreamRequest(
        path,
        serialize,
        deserialize,
        first.value,
        metadata,
        deadline(timeoutMs),
      );
      signal?.addEventListener('abort', () => call.cancel());
      return {
        stream: true,
        service: method.parent,
        method,
        header: new Headers(),
        trailer: new Headers(),
        message: messages(call),
      } as StreamResponse<typeof method.input, typeof method.output>;
    },
  };
}

async function* messages<T>(call: grpc.ClientReadableStream<T>): AsyncIterable<T> {
  try {
    for await (const message of call) yield message as T;
  } catch (error) {
    throw fromServiceError(error as grpc.ServiceError);
  }
}

/** With the message that grpc-js shows, not the one among the details. */
function fromServiceError(error: grpc.ServiceError): ConnectError {
  const metadata = toHeaders(error.metadata);
  metadata.set('grpc-status', String(error.code));
  const { details = [] } = findTrailerError(metadata) ?? {};
  const shown = new ConnectError(error.details, error.code as number as Code, metadata);
  shown.details = details;
  return shown;
}

function toHeaders(metadata: grpc.Metadata): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(metadata.getMap()))
    headers.set(name, typeof value === 'string' ? value : value.toString('base64'));
  return headers;
}
