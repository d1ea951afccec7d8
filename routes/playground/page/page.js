import { setUpCode } from './code/panel.js';
import { byId } from './dom.js';
import { identityProblem, setUpIdentity } from './identity.js';
import { loadInbox } from './inbox/loading.js';
import { setUpInbox } from './inbox/panel.js';
import { setUpMailbox } from './mailbox/panel.js';
import { setUpPush } from './push/panel.js';
import { render } from './redraw.js';
import { setUpSending } from './send/panel.js';
import { connect } from './stream/connection.js';
import { setUpEvents } from './stream/events.js';
import { setUpLog } from './stream/log.js';
import { setStreamState } from './stream/state.js';
import { setProblem } from './telling.js';

history.replaceState(null, ''); // all of it has loaded, see page.html

setUpIdentity();
setUpSending();
setUpInbox();
setUpCode();
setUpMailbox();
setUpLog();
setUpEvents();

if (identityProblem) {
  setProblem('identity', { text: `${identityProblem} Choose another one and switch.`, tone: 'bad' });
  setStreamState('ended', 'no such user');
  byId('other-user').hidden = true;
  render();
} else {
  connect();
  loadInbox();
  render();
  setUpPush();
}
