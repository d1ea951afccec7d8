/**
 * What holds between variables. A rule looks at a draft: what a variable's own type refused is undefined
 * there.
 */
import { isVapidPair } from './credentials.ts';
import { quote } from './invalid.ts';
import { type ConfigDraft, schema } from './schema.ts';
import { oneOf } from './types.ts';
import { blocksOf, type Feature, type ProviderChannel, type Variable, variablesOf } from './variable.ts';

/** RFC 7518 §3.2: a key of the hash's size or larger. */
const hs256KeyBytes = 32;
const makeSecret = 'make one with: openssl rand -hex 32';

export interface RuleContext {
  readonly draft: ConfigDraft;
  readonly features: readonly Feature[];
  /** Whether a variable has a text, right or wrong. */
  isSet(variable: string): boolean;
  refuse(variable: string, message: string): void;
}

export function checkRules(context: RuleContext): void {
  for (const rule of [
    distinctPorts,
    production,
    strongSecrets,
    rotation,
    retryPauses,
    namedLimits,
    sharedVariables,
    sandboxAllow,
    senders,
    smtpLogin,
    sesKey,
    vapidPair,
  ]) {
    rule(context);
  }
}

function distinctPorts({ draft: { ports }, refuse }: RuleContext): void {
  const owners = new Map<number, string>();
  for (const [variable, port] of [
    ['NOTIFY_CLIENT_PORT', ports.client],
    ['NOTIFY_INTERNAL_PORT', ports.internal],
    ['NOTIFY_METRICS_PORT', ports.metrics],
  ] as const) {
    if (port === undefined || port === 0) continue;
    const owner = owners.get(port);
    if (owner === undefined) owners.set(port, variable);
    else refuse(variable, `${port} is the port of ${owner} too; each listener needs its own`);
  }
}

function production({ draft: { auth }, features, isSet, refuse }: RuleContext): void {
  if (auth.devMode !== false) return;
  const unless = 'is required unless NOTIFY_AUTH_DEV_MODE is true';
  const jwks = features.includes('jwks');
  if (!isSet('NOTIFY_AUTH_JWT_SECRET') && !(jwks && isSet('NOTIFY_AUTH_JWKS_URL'))) {
    const instead = jwks ? ' or NOTIFY_AUTH_JWKS_URL is set' : '';
    refuse('NOTIFY_AUTH_JWT_SECRET', `${unless}${instead}; ${makeSecret}`);
  }
  if (!isSet('NOTIFY_INTERNAL_TOKEN')) refuse('NOTIFY_INTERNAL_TOKEN', `${unless}; ${makeSecret}`);
}

function strongSecrets({ draft: { auth }, refuse }: RuleContext): void {
  if (auth.allowWeakSecret !== false) return;
  for (const [variable, secret] of [
    ['NOTIFY_AUTH_JWT_SECRET', auth.jwtSecret],
    ['NOTIFY_AUTH_JWT_SECRET_PREVIOUS', auth.jwtSecretPrevious],
  ] as const) {
    if (secret === undefined || Buffer.byteLength(secret) >= hs256KeyBytes) continue;
    refuse(
      variable,
      `is shorter than ${hs256KeyBytes} bytes, which HS256 forbids; ${makeSecret}, ` +
        'or set NOTIFY_AUTH_ALLOW_WEAK_SECRET=true',
    );
  }
}

/** A previous secret alone would leave open whether callers without one are let in. */
function rotation({ isSet, refuse }: RuleContext): void {
  for (const current of ['NOTIFY_AUTH_JWT_SECRET', 'NOTIFY_INTERNAL_TOKEN']) {
    const previous = `${current}_PREVIOUS`;
    const replaced = isSet(current) || (current.includes('JWT') && isSet('NOTIFY_AUTH_JWKS_URL'));
    if (isSet(previous) && !replaced)
      refuse(previous, `only stands beside ${current}; set that too, or unset it`);
  }
}

function retryPauses({ draft: { retry }, refuse }: RuleContext): void {
  if (retry.baseMs === undefined || retry.maxMs === undefined || retry.baseMs <= retry.maxMs) return;
  refuse('NOTIFY_RETRY_MAX', 'is shorter than NOTIFY_RETRY_BASE; the pauses grow from base to max');
}

/** A name that is not chosen would be ignored, and is a misspelling. */
function namedLimits({ draft: { providers, sending }, refuse }: RuleContext): void {
  for (const [channel, limits] of Object.entries(sending)) {
    const chosen = channel === 'webhook' ? ['webhook'] : (providers[channel as ProviderChannel] ?? []);
    for (const [key, limit] of Object.entries(limits)) {
      const wrong = Object.keys(limit?.named ?? {}).find((name) => !chosen.includes(name));
      const variable = schema.sending[channel as keyof typeof sending][key as keyof typeof limits].name;
      if (wrong !== undefined)
        refuse(variable, `${quote(wrong)} is no provider of the channel; it has ${oneOf(chosen)}`);
    }
  }
}

/** One key or address cannot be that of two providers: each but one of them needs its own. */
function sharedVariables({ draft: { providers }, isSet, refuse }: RuleContext): void {
  const readers = new Map<string, Variable<unknown>[]>();
  for (const { choice, settings } of blocksOf(schema)) {
    const isChosen = choice.of !== 'store' && providers[choice.of]?.includes(choice.name ?? '');
    for (const variable of isChosen ? variablesOf(settings) : []) {
      const { name, own } = variable;
      if (name === own || (own !== undefined && isSet(own)) || !isSet(name)) continue;
      readers.set(name, [...(readers.get(name) ?? []), variable]);
    }
  }
  for (const [name, all] of readers) {
    const { length } = all;
    if (length < 2) continue;
    const own = all.flatMap((variable) => variable.own ?? []);
    const instead = own.length === length ? `set ${oneOf(own)} for one of them` : 'name one of them alone';
    refuse(name, `would be read by ${length} of the providers; ${instead}`);
  }
}

/** Whoever lists who may get something believes that others do not. */
function sandboxAllow({ isSet, refuse }: RuleContext): void {
  if (!isSet('NOTIFY_SANDBOX_ALLOW') || isSet('NOTIFY_SANDBOX')) return;
  refuse(
    'NOTIFY_SANDBOX_ALLOW',
    'only stands beside NOTIFY_SANDBOX, without which everybody gets theirs; set NOTIFY_SANDBOX=capture, or unset both',
  );
}

function senders({ draft: { sms, whatsapp }, isSet, refuse }: RuleContext): void {
  for (const [chosen, prefix] of [
    [sms.twilio, 'NOTIFY_SMS'],
    [whatsapp.twilio, 'NOTIFY_WHATSAPP'],
  ] as const) {
    if (chosen === undefined || isSet(`${prefix}_FROM`) || isSet(`${prefix}_MESSAGING_SERVICE_SID`)) continue;
    refuse(
      `${prefix}_FROM`,
      `is required for ${prefix}_PROVIDER=twilio, or ${prefix}_MESSAGING_SERVICE_SID instead`,
    );
  }
}

function smtpLogin({ draft: { email }, isSet, refuse }: RuleContext): void {
  if (email?.smtp === undefined) return;
  const login = ['NOTIFY_EMAIL_SMTP_USERNAME', 'NOTIFY_EMAIL_SMTP_PASSWORD'] as const;
  const [missing, ...more] = login.filter((variable) => !isSet(variable));
  if (missing === undefined || more.length > 0) return;
  refuse(
    missing,
    `is required beside ${login.find((variable) => variable !== missing)}; set both or neither`,
  );
}

/** The contract has one variable for a key, and AWS's keys are pairs. */
function sesKey({ draft: { email }, isSet, refuse }: RuleContext): void {
  const apiKey = email?.ses?.apiKey;
  if (apiKey === undefined || /^[^:\s]+:\S+$/.test(apiKey.trim())) return;
  refuse(
    isSet('NOTIFY_EMAIL_SES_API_KEY') ? 'NOTIFY_EMAIL_SES_API_KEY' : 'NOTIFY_EMAIL_API_KEY',
    "must be <access key id>:<secret access key> for ses; unset it to use the machine's own credentials",
  );
}

function vapidPair({ draft: { webPush }, refuse }: RuleContext): void {
  const { publicKey, privateKey } = webPush.vapid ?? {};
  if (publicKey === undefined || privateKey === undefined || isVapidPair(publicKey, privateKey)) return;
  refuse(
    'NOTIFY_WEBPUSH_VAPID_PUBLIC',
    'is not the public key of NOTIFY_WEBPUSH_VAPID_PRIVATE; use both of one pair',
  );
}
