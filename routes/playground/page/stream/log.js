import { byId, make, setText } from '../dom.js';
import { absoluteTime, clockTime } from '../times.js';

const logLimit = 100;

/** Adds a line. @returns changes its text later */
export function log(kind, position, detail) {
  const now = new Date();
  const text = make('span', { className: 'log-detail' });
  const line = make(
    'li',
    { data: { testid: 'log-row', kind, position } },
    make(
      'time',
      { className: 'mono', dateTime: now.toISOString(), title: absoluteTime.format(now) },
      clockTime.format(now),
    ),
    make('span', { className: 'log-kind' }, kind.replace('_', ' ')),
    text,
  );
  const words = make('span', { data: { testid: 'log-detail' } });
  if (position !== '') text.append(make('span', { className: 'mono' }, `#${position}`), ' ');
  text.append(words);
  const write = (what) => setText(words, what);
  write(detail);
  const list = byId('log');
  list.prepend(line);
  while (list.childElementCount > logLimit) list.lastElementChild.remove();
  countLog();
  return write;
}

function countLog() {
  const count = byId('log').childElementCount;
  setText(
    byId('log-count'),
    count === 0 ? '(nothing yet)' : `(${count === logLimit ? `last ${count}` : count})`,
  );
}

export function setUpLog() {
  byId('log-panel').open = matchMedia('(width >= 900px)').matches;
  countLog();
  byId('clear').onclick = () => {
    byId('log').replaceChildren();
    countLog();
  };
  byId('heartbeats').onchange = ({ target }) => {
    byId('log').dataset.heartbeats = String(target.checked);
  };
}
