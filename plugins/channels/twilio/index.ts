import { connectionsFor, type OpenProvider } from '../open.ts';

/** Twilio for SMS or for WhatsApp: the same account and API, with settings of their own. */
export const openTwilio =
  (channel: 'sms' | 'whatsapp'): OpenProvider =>
  async (app, config) => {
    const settings = config[channel].twilio;
    if (settings === undefined) throw new Error(`the configuration has no block of twilio for ${channel}`);
    // its library takes a third of a second to load
    const { TwilioProvider } = await import('./twilio.ts');
    return new TwilioProvider(
      channel,
      { ...settings, publicUrl: config.publicUrl },
      app.ambient.clock,
      connectionsFor(config, channel, 'twilio'),
    );
  };
