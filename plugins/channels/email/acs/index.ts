import { connectionsFor, type OpenProvider } from '../../open.ts';
import { emailSettings } from '../settings.ts';
import { AcsProvider } from './acs-provider.ts';

const openAcs: OpenProvider = async ({ ambient }, config) => {
  const { from, settings } = emailSettings(config, 'acs');
  return new AcsProvider(from, settings, ambient.clock, connectionsFor(config, 'email', 'acs'));
};
export default openAcs;
