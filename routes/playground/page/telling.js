import { byId, setText } from './dom.js';

const announcements = [];
let announceTimer;

/** Says something to screen readers, once what follows it at once has gathered. */
export function announce(text) {
  announcements.push(text);
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => {
    const all = announcements.splice(0);
    byId('announcer').textContent =
      all.length > 3 ? `${all.slice(0, 2).join('. ')}, and ${all.length - 2} more.` : all.join('. ');
  }, 300);
}

let noteTimer;

/** A line at the bottom that goes away by itself, unless the keyboard or the pointer is on it. */
export function showNote(text, action) {
  const note = byId('note');
  const button = byId('note-button');
  byId('note-text').textContent = text;
  button.textContent = action ? action.label : 'Dismiss';
  button.onclick = () => {
    note.hidden = true;
    byId('inbox-heading').focus({ preventScroll: true });
    action?.run();
  };
  note.hidden = false;
  announce(text);
  clearTimeout(noteTimer);
  const leave = () => {
    if (note.matches(':hover, :focus-within')) noteTimer = setTimeout(leave, 2_000);
    else note.hidden = true;
  };
  noteTimer = setTimeout(leave, action ? 10_000 : 7_000);
}

/** What is wrong now, by where it was noticed. The stream's word is shown before the inbox's. */
export const problems = { identity: undefined, stream: undefined, inbox: undefined };

export function setProblem(source, problem) {
  if (problems[source]?.text === problem?.text) return;
  problems[source] = problem;
  const shown = problems.identity ?? problems.stream ?? problems.inbox;
  const banner = byId('banner');
  banner.hidden = shown === undefined;
  if (shown === undefined) {
    setText(byId('banner-text'), '');
    return;
  }
  banner.dataset.tone = shown.tone ?? 'warn';
  if (byId('banner-text').textContent !== shown.text) announce(shown.text);
  setText(byId('banner-text'), shown.text);
  byId('banner-button').hidden = shown.button === undefined;
  setText(byId('banner-button'), shown.button ?? '');
}
