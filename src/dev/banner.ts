import type { Config } from '../config.ts';
import { channelsOfTestProvider } from './test-providers.ts';

/**
 * What `npm run dev` says at the terminal once it listens.
 * @param folder of the embedded Postgres, if there is one
 */
export const devBanner = (
  ports: { readonly client: number; readonly internal: number },
  config: Pick<Config, 'auth' | 'providers' | 'sandbox'>,
  folder: string | undefined,
): string => `
  notify is running in dev mode${folder === undefined ? '; its inbox is gone when it stops (keep it: npm run dev -- --postgres)' : `, with Postgres in ${folder}`}.${providerLine(config)}

  Playground   http://localhost:${ports.client}/?user=alice&tenant=demo

  Then send alice a notification:

  curl http://localhost:${ports.internal}/elloloop.notify.v1.NotificationInternalService/Notify \\
    -H 'content-type: application/json' \\${config.auth.internalToken === undefined ? '' : '\n    -H "x-notify-internal-token: $NOTIFY_INTERNAL_TOKEN" \\'}
    -d '{"tenantId":"demo","notificationId":"hello-1","userIds":["alice"],"title":"Hello","body":"It works."}'

`;

function providerLine(config: Pick<Config, 'providers' | 'sandbox'>): string {
  if (config.sandbox.rule !== undefined)
    return "\n  The sandbox is on: messages do not reach whom they are addressed to. The playground's mailbox shows what is kept.";
  const channels = channelsOfTestProvider(config);
  if (channels.length > 0)
    return `\n  The test provider takes ${channels.join(', ')}: nothing is sent, and the playground's mailbox shows what would be.`;
  const none = Object.values(config.providers).every((names) => names.length === 0);
  return none
    ? '\n  It shows notifications in the app alone (email, SMS, push and chat too, into a mailbox: npm run dev -- --test-providers).'
    : '';
}
