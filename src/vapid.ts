import { createECDH } from 'node:crypto';

/** `npm run vapid`: a new pair of keys for web push, as lines of an environment file. Nothing is stored. */
const pair = createECDH('prime256v1');
pair.generateKeys();
// a private key that begins with zeros comes without them
const privateKey = Buffer.concat([Buffer.alloc(32), pair.getPrivateKey()]).subarray(-32);
process.stdout.write(
  `NOTIFY_WEBPUSH_VAPID_PUBLIC=${pair.getPublicKey('base64url')}\n` +
    `NOTIFY_WEBPUSH_VAPID_PRIVATE=${privateKey.toString('base64url')}\n`,
);
