import { connectionsFor, type OpenProvider } from '../../open.ts';
import { emailSettings } from '../settings.ts';
import { smtpConnection } from './connection.ts';
import { SmtpProvider } from './smtp-provider.ts';

/** Connects with the first mail: a mail server that is away must not keep the service from starting. */
const openSmtp: OpenProvider = async (_app, config) => {
  const { from, settings } = emailSettings(config, 'smtp');
  return new SmtpProvider(from, {
    ...smtpConnection(settings),
    connections: connectionsFor(config, 'email', 'smtp'),
  });
};
export default openSmtp;
