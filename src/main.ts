import { type App, buildApp, buildProviders, built } from './app.ts';
import { type Config, ConfigError, parseConfig } from './config.ts';
import { devBanner } from './dev/banner.ts';
import type { EmbeddedPostgres } from './dev/embedded-postgres.ts';
import { channelsOfTestProvider, testProvidersFor } from './dev/test-providers.ts';
import { createLogger } from './logger.ts';
import { reportProviders } from './provider-check/at-boot.ts';
import { checkProviders } from './provider-check/command.ts';
import { answerWhileStarting } from './starting.ts';

const oldestNode = [24, 12] as const;

/** A second signal this soon after the first is the same one: a group signal reaches a child of npm twice. */
const echoMs = 1_000;

/** Starts the service, and stops it on SIGTERM and SIGINT. Exits 0 after a clean stop, 1 otherwise. */
async function main(): Promise<void> {
  const started = performance.now();
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1]))
    return fail(
      `notify needs Node ${oldestNode.join('.')} or newer, and this is ${process.versions.node}; start it by npm run, which brings its own`,
    );

  if (process.argv.includes('--check-providers')) return checkAndTell();

  const isDev = process.argv.includes('--dev');
  const hasTestProviders = process.argv.includes('--test-providers');
  if (hasTestProviders && !isDev)
    return fail('--test-providers is for development, since they send nothing; use it with --dev');
  let database: EmbeddedPostgres | undefined;
  if (process.argv.includes('--postgres')) {
    if (!isDev) return fail('--postgres starts a database for development; use it with --dev');
    try {
      // development only: its package is not there in production
      database = await (await import('./dev/postgres.ts')).startDevPostgres();
    } catch (error) {
      return fail(error instanceof Error ? error.message : 'Postgres did not start');
    }
  }
  const config = readConfig({
    ...(isDev && { NOTIFY_AUTH_DEV_MODE: 'true' }),
    ...process.env,
    ...(hasTestProviders && testProvidersFor(process.env)),
    ...(database && {
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: database.dsn(),
      NOTIFY_POSTGRES_DIRECT_DSN: '',
    }),
  });
  if (config === undefined) return database?.close();
  const { logger, flush } = createLogger(config.log.level);
  const stop = (code: number) => {
    flush();
    process.exit(code);
  };
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'crashed');
    stop(1);
  });
  process.on('exit', flush);

  logger.info({ store: config.store.driver, live: config.live.enabled }, 'notifyd_starting');
  for (const variable of config.unknownVariables)
    logger.warn({ variable }, 'unknown_variable: it has no effect');
  if (config.auth.devMode)
    logger.warn(
      'dev_mode: anyone can act as any user with dev:<user>:<tenant>; never expose this to a network',
    );
  const channels = channelsOfTestProvider(config);
  if (channels.length > 0)
    logger.warn(
      { channels },
      'test_provider: nothing is sent on these channels; the playground shows what would be',
    );
  const { rule, allow } = config.sandbox;
  if (rule !== undefined)
    logger.warn(
      {
        mode: rule.kind,
        redirected: rule.kind === 'redirect' ? Object.keys(rule.to) : [],
        allowed: allow.length,
      },
      'sandbox: messages do not reach the people they are addressed to; unset NOTIFY_SANDBOX in production',
    );

  let app: App | undefined;
  let stoppingSince: number | undefined;
  const checks = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince < echoMs) return;
      logger.warn({ signal }, 'stopping at once');
      return stop(1);
    }
    const since = performance.now();
    stoppingSince = since;
    logger.info({ signal }, 'server_shutdown_signal');
    checks.abort();
    const timeoutMs = config.shutdownTimeoutMs;
    setTimeout(() => {
      logger.error({ timeout_ms: timeoutMs }, 'shutdown_timeout: something did not finish in time');
      stop(1);
    }, timeoutMs).unref();
    // a signal while booting finds nothing to close yet
    const closed = Promise.resolve(app?.close()).then(() => database?.close());
    closed.then(
      () => {
        logger.info({ took_ms: Math.round(performance.now() - since) }, 'server_stopped');
        stop(0);
      },
      (error: unknown) => {
        logger.error({ err: error }, 'shutdown_failed');
        stop(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  try {
    const makeWay = await answerWhileStarting(config);
    app = await buildApp(config, { logger });
    await makeWay();
    const ports = await app.listen();
    logger.info({ ...ports, boot_ms: Math.round(performance.now() - started) }, 'server_listen');
    reportProviders(app.core, logger, checks.signal);
    flush();
    if (isDev) process.stderr.write(devBanner(ports, config, database?.folder));
  } catch (error) {
    if (stoppingSince !== undefined) return; // a port that a stop has closed cannot be opened
    logger.fatal({ err: error }, 'boot_failed');
    process.stderr.write(`notify cannot start: ${whyNot(error, config.ports)}\n`);
    return stop(1);
  }
}

/** `npm run providers:check`. Exits 0 where everything that is switched on is well, 1 otherwise. */
async function checkAndTell(): Promise<void> {
  try {
    const { text, isGood } = await checkProviders(process.env, built, buildProviders);
    // a connection that never answered may still be open
    process.stdout.write(text, () => process.exit(isGood ? 0 : 1));
  } catch (error) {
    fail(error instanceof Error ? error.message : 'the providers cannot be opened');
  }
}

/** What went wrong at boot, in a line for whoever sits at the terminal. The log has the rest. */
function whyNot(error: unknown, ports: Config['ports']): string {
  const { message, code, port } = error as NodeJS.ErrnoException & { port?: number };
  if (code !== 'EADDRINUSE') return message;
  const [name = 'metrics'] = Object.entries(ports).find(([, wanted]) => wanted === port) ?? [];
  return `port ${port} is in use by another process; stop it, or set NOTIFY_${name.toUpperCase()}_PORT`;
}

function readConfig(env: NodeJS.ProcessEnv): Config | undefined {
  try {
    return parseConfig(env, built);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return fail(error.message);
  }
}

function fail(message: string): undefined {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
  return undefined;
}

await main();
