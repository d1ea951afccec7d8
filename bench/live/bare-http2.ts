import http2 from 'node:http2';

/** Nothing but Node's: a stream is answered with a head and the first bytes, and stays open. */
const server = http2.createServer({ settings: { maxConcurrentStreams: 1_000 } });
server.on('stream', (stream) => {
  stream.on('error', () => {}).resume();
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
  stream.write(Buffer.alloc(100));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
