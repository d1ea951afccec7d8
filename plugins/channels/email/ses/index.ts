import { connectionsFor, type OpenProvider } from '../../open.ts';
import { emailSettings } from '../settings.ts';
import { SesProvider } from './ses-provider.ts';

const openSes: OpenProvider = async ({ ambient }, config) => {
  const { from, settings } = emailSettings(config, 'ses');
  return new SesProvider(from, settings, ambient.clock, connectionsFor(config, 'email', 'ses'));
};
export default openSes;
