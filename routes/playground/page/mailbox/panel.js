import { boot, byId, setText } from '../dom.js';
import { hasMailbox } from '../send/channels.js';
import { setUpMailList } from './list.js';
import { lookAtMailbox } from './looking.js';
import { setUpOutages } from './outages.js';

export function setUpMailbox() {
  byId('mailbox').hidden = !hasMailbox;
  if (!hasMailbox) return;
  if (boot.sandbox !== '') {
    setText(byId('mail-kind'), 'Sandbox mailbox');
    setText(
      byId('mail-nobody'),
      boot.sandbox === 'capture'
        ? 'everything is kept here'
        : 'what has no address of the sandbox’s is kept here',
    );
  }
  setUpOutages();
  setUpMailList();
  document.addEventListener('visibilitychange', lookAtMailbox);
  lookAtMailbox();
}
