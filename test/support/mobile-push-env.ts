import { generateKeyPairSync, type KeyObject } from 'node:crypto';

const pemOf = (pair: { privateKey: KeyObject }) =>
  pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const rsa = pemOf(generateKeyPairSync('rsa', { modulusLength: 2048 }));
const ec = pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }));

/** FCM's block of the configuration. @param tokenUri where access tokens come from, beside FCM itself unless given */
export const fcmEnv = (base: string, tokenUri = `${base}/token`) => ({
  NOTIFY_FCM_CREDENTIALS_JSON: JSON.stringify({
    client_email: 'push@shop.iam.gserviceaccount.com',
    private_key: rsa,
    project_id: 'shop',
    token_uri: tokenUri,
  }),
  NOTIFY_FCM_ENDPOINT: base,
});

/** APNs' block of the configuration. */
export const apnsEnv = (base: string) => ({
  NOTIFY_APNS_KEY_P8: ec,
  NOTIFY_APNS_KEY_ID: 'KEY1234567',
  NOTIFY_APNS_TEAM_ID: 'TEAM123456',
  NOTIFY_APNS_TOPIC: 'org.example.shop',
  NOTIFY_APNS_ENDPOINT: base,
});
