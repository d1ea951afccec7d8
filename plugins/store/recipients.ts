import { NotifyError } from '../../src/core/errors.ts';

/** What a look for a record that is not there answers. */
export const noRecipient = (): NotifyError =>
  new NotifyError('not_found', 'no such recipient in this tenant; PutRecipient makes one');
