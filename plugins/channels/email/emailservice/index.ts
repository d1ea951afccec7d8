import type { OpenProvider } from '../../open.ts';
import { emailSettings } from '../settings.ts';
import { EmailServiceProvider } from './email-service-provider.ts';

/** Connects with the first mail. */
const openEmailService: OpenProvider = async ({ ambient }, config) => {
  const { from, settings } = emailSettings(config, 'emailservice');
  return new EmailServiceProvider(from, settings.address, ambient.clock);
};
export default openEmailService;
