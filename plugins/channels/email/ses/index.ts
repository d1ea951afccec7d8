import { connectionsFor, type OpenProvider } from '../../open.ts';
import { emailSettings } from '../settings.ts';
import { SesProvider } from './ses-provider.ts';

const openSes: OpenProvider = async ({ ambient, log }, config) => {
  const { from, settings } = emailSettings(config, 'ses');
  return new SesProvider(from, settings, {
    clock: ambient.clock,
    connections: connectionsFor(config, 'email', 'ses'),
    subscribed: (topic) => log.info({ topic }, 'sns_subscribed'),
  });
};
export default openSes;
