import { post } from '../calls.js';
import { refreshCode, showCall } from '../code/last-calls.js';
import { byId } from '../dom.js';
import { user } from '../identity.js';
import { lookAtMailbox } from '../mailbox/looking.js';
import { showNote } from '../telling.js';
import { showAnswer, showFailure } from './answer.js';
import { setUpWays } from './channels.js';
import { newId, requestFromForm } from './form.js';

let isSending = false;
let lastRequest;

async function send(request, isAgain) {
  if (isSending) return;
  if (request.channels?.length === 0) {
    byId('way-in_app').focus();
    showNote('Choose at least one channel to send by.');
    return;
  }
  isSending = true;
  const buttons = [byId('send'), byId('again')];
  for (const button of buttons) button.setAttribute('aria-disabled', 'true');
  try {
    const answer = await post('/playground/notify', request);
    lastRequest = request;
    byId('again').hidden = false;
    // a new send is a new notification; the same one goes out by "send again"
    if (!isAgain && byId('notification-id').value.trim() === request.notificationId) newId();
    showAnswer(request, answer, isAgain);
    lookAtMailbox();
  } catch (error) {
    showFailure(error);
  } finally {
    isSending = false;
    for (const button of buttons) button.removeAttribute('aria-disabled');
    refreshCode();
  }
}

export function setUpSending() {
  byId('to').value = user;
  newId();
  setUpWays();
  byId('form').addEventListener('submit', (event) => {
    event.preventDefault();
    showCall('notify');
    send(requestFromForm(), false);
  });
  byId('form').addEventListener('input', () => showCall('notify'));
  byId('again').onclick = () => lastRequest && send(lastRequest, true);
  byId('new-id').onclick = () => {
    newId();
    showCall('notify');
  };
  for (const link of document.querySelectorAll('a[href="#compose"]'))
    link.addEventListener('click', (event) => {
      event.preventDefault();
      byId('title').focus();
      byId('compose').scrollIntoView();
    });
}
