import type { FastifyBaseLogger } from 'fastify';
import type { PressureLimits } from '../../plugins/pressure/index.ts';
import type { Ambient } from '../core/ambient.ts';
import type { Transport } from '../core/backplane/transport.ts';
import type { DispatcherSettings } from '../core/dispatcher/settings.ts';
import type { ListenerLimits } from '../listener.ts';
import type { UserModule } from '../modules.ts';

/** What tests and embedders may replace. */
export interface Overrides {
  readonly ambient?: Ambient;
  readonly logger?: FastifyBaseLogger;
  /** Beside those that NOTIFY_PLUGINS names. */
  readonly plugins?: readonly UserModule[];
  readonly pressure?: PressureLimits;
  readonly listener?: Partial<ListenerLimits>;
  readonly dispatcher?: Partial<DispatcherSettings>;
  /** Stands between the replicas: a test loses there what it likes. */
  readonly wrapTransport?: (transport: Transport) => Transport;
}
