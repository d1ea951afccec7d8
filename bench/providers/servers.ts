/** The providers' servers, in a process of their own: they take everything, in the words of the real ones. */
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import type { Addresses } from './messages.ts';
import { smtpSink } from './smtp-sink.ts';

const json = { 'content-type': 'application/json' };

/** FCM and its token endpoint, push services and webhook receivers, told apart by path. */
const web = http.createServer((request, response) => {
  const { url = '' } = request;
  request.resume();
  request.on('end', () => {
    if (url === '/token')
      response
        .writeHead(200, json)
        .end('{"access_token":"ya29.bench","expires_in":3599,"token_type":"Bearer"}');
    else if (url.startsWith('/v1/projects/'))
      response.writeHead(200, json).end('{"name":"projects/bench/messages/0:1500415314455276"}');
    else if (url.startsWith('/push/'))
      response.writeHead(201, { location: 'https://push.example.org/m/1' }).end();
    else response.writeHead(200, json).end('{"ok":true}');
  });
});

const apple = http2.createServer({ settings: { maxConcurrentStreams: 1_000 } });
apple.on('stream', (stream, headers) => {
  stream.resume();
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'apns-id': headers['apns-id'] });
    stream.end();
  });
});

const hanging = http.createServer((request) => request.resume());

const listen = (server: Server | http2.Http2Server) =>
  new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

const at = (port: number) => `http://127.0.0.1:${port}`;
const addresses: Addresses = {
  http: at(await listen(web)),
  http2: at(await listen(apple)),
  smtp: await listen(smtpSink()),
  hanging: at(await listen(hanging)),
};
process.send?.(addresses);
process.on('disconnect', () => process.exit());
