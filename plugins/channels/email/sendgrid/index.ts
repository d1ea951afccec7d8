import { connectionsFor, type OpenProvider } from '../../open.ts';
import { emailSettings } from '../settings.ts';
import { SendGridProvider } from './sendgrid-provider.ts';

const openSendGrid: OpenProvider = async ({ ambient }, config) => {
  const { from, settings } = emailSettings(config, 'sendgrid');
  return new SendGridProvider(from, settings, ambient.clock, connectionsFor(config, 'email', 'sendgrid'));
};
export default openSendGrid;
