import { cors as connectCors } from '@connectrpc/connect';

/** What foreign pages may do, of the origins that the configuration allows. */
export const corsOptions = (origins: readonly string[]) => ({
  origin: origins.includes('*') ? '*' : [...origins],
  methods: [...connectCors.allowedMethods],
  allowedHeaders: [...connectCors.allowedHeaders, 'Authorization', 'Last-Event-ID'],
  exposedHeaders: [...connectCors.exposedHeaders, 'Retry-After', 'X-Request-Id'],
  maxAge: 7_200,
  // or an OPTIONS that is no preflight, as monitors send it, is a 400 in plain text
  strictPreflight: false,
});
