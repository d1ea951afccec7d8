import { ask, describe } from '../calls.js';
import { byId, make, setText } from '../dom.js';
import { channelLabel, testWays } from '../send/channels.js';
import { announce, showNote } from '../telling.js';
import { mailbox } from './mailbox.js';

/** What messages may meet. */
const scenes = {
  accept: 'accepted',
  fail: 'failing for now',
  fail30s: 'failing (retry in 30 s)',
  refuse: 'refused for good',
  gone: 'refused, nobody there any more',
  stall: 'never answered',
  slow5s: 'accepted after 5 s',
};

/** Says on which channels messages do not simply go out. */
export function renderOutages() {
  const outages = Object.entries(mailbox.channels).filter(([, { next }]) => next !== 'accept');
  const words = outages.map(([channel, { next, count }]) => {
    const howMany = count === undefined ? '' : count === 1 ? ', the next one' : `, the next ${count}`;
    return `${channelLabel(channel)}: ${scenes[next] ?? next}${howMany}`;
  });
  const isEvery = outages.length > 1 && outages.length === testWays.length;
  const isAlike = new Set(words.map((text) => text.slice(text.indexOf(':')))).size === 1;
  const text =
    isEvery && isAlike ? `Every channel${words[0].slice(words[0].indexOf(':'))}` : words.join('. ');
  if (byId('outages').contains(document.activeElement) && outages.length === 0)
    byId('mailbox-heading').focus();
  byId('outages').hidden = outages.length === 0;
  setText(byId('outages-text'), text);
}

async function setScene(channel, scene) {
  try {
    const path = channel === '' ? '/dev/test-provider' : `/dev/test-provider/${channel}`;
    const { channels } = await ask('PUT', path, scene);
    mailbox.channels = channels;
    renderOutages();
    announce(byId('outages-text').textContent || 'Messages are accepted again');
  } catch (error) {
    showNote(describe(error));
  }
}

/** Where messages can be made to fail: that is the test provider's alone. */
export function setUpOutages() {
  byId('outage').hidden = testWays.length === 0;
  const options = (words) => Object.entries(words).map(([value, label]) => make('option', { value }, label));
  byId('outage-channel').append(make('option', { value: '' }, 'Every channel'));
  byId('outage-channel').append(...testWays.map((value) => make('option', { value }, channelLabel(value))));
  byId('outage-next').append(...options(scenes));
  byId('outage-next').value = 'fail';
  byId('outage').addEventListener('submit', (event) => {
    event.preventDefault();
    const count = byId('outage-count').value;
    const next = byId('outage-next').value;
    setScene(byId('outage-channel').value, { next, ...(count !== '' && { count: Number(count) }) });
  });
  byId('outages-off').onclick = () => setScene('', { next: 'accept' });
}
