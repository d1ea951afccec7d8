import { createServer, type Server, type Socket } from 'node:net';

const endOfMail = '\r\n.\r\n';

/** A mail server that says yes to everything at once and keeps nothing; smtp-server would wait 100 ms with each greeting. */
export const smtpSink = (): Server => createServer((socket) => greet(socket));

function greet(socket: Socket): void {
  let waiting = '';
  let isMail = false;
  socket.setNoDelay(true);
  socket.setEncoding('latin1');
  socket.on('error', () => {});
  socket.write('220 sink ESMTP\r\n');
  socket.on('data', (chunk: string) => {
    waiting += chunk;
    for (;;) {
      const end = waiting.indexOf(isMail ? endOfMail : '\r\n');
      if (end === -1) return;
      const line = waiting.slice(0, end);
      waiting = waiting.slice(end + (isMail ? endOfMail.length : 2));
      if (isMail) {
        isMail = false;
        socket.write('250 2.0.0 taken\r\n');
      } else if (line === 'DATA') {
        isMail = true;
        socket.write('354 go on\r\n');
      } else if (line.startsWith('EHLO')) socket.write('250-sink\r\n250-8BITMIME\r\n250 PIPELINING\r\n');
      else if (line === 'QUIT') socket.end('221 2.0.0 bye\r\n');
      else socket.write('250 2.0.0 ok\r\n');
    }
  });
}
