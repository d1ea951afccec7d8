import { byId, enumWord, make } from '../dom.js';
import { nameProblem, pageFor, user } from '../identity.js';
import { announce } from '../telling.js';
import { dueWords } from '../times.js';

const countWords = [
  ['delivered', 'Delivered'],
  ['pending', 'Pending'],
  ['failed', 'Failed'],
  ['suppressed', 'Suppressed'],
];

/** Shows an answer and counts it, so that a test can tell it from the one before. */
function putAnswer(box) {
  const region = byId('answer-region');
  region.dataset.answers = String(Number(region.dataset.answers) + 1);
  region.replaceChildren(box);
}

/** @param isAgain the same request was sent before */
export function showAnswer(request, answer, isAgain) {
  const results = answer.results ?? [];
  const isRepeat = results.length > 0 ? results.every(({ created }) => created === false) : isAgain;
  const title = isRepeat ? 'This id was here before: nothing was sent again' : 'Accepted';
  const explanation = isRepeat
    ? 'The counts are those of what is stored. The first call’s content stays.'
    : answer.pending > 0 && results.length === 0
      ? 'Pending is stored and waits for a stream or a provider.'
      : '';
  const counts = make('dl', { className: 'counts' });
  const said = [];
  for (const [name, word] of countWords) {
    const count = Number(answer[name] ?? 0);
    if (name === 'suppressed' && count === 0) continue;
    said.push(`${count} ${name}`);
    counts.append(
      make(
        'div',
        {},
        make('dt', {}, word),
        make('dd', { data: { testid: `answer-${name}` } }, String(count)),
      ),
    );
  }
  const list = resultList(results);
  const raw = make('pre', { className: 'mono answer-text' }, JSON.stringify(answer, null, 2));
  const box = make(
    'div',
    {
      className: 'answer',
      data: {
        state: isRepeat ? 'repeat' : 'ok',
        testid: 'answer-box',
        notificationId: request.notificationId,
      },
    },
    make('p', { className: 'answer-title', data: { testid: 'answer-title' } }, title),
    make('p', { className: 'mono muted' }, request.notificationId),
    counts,
    list,
    make('details', {}, make('summary', { className: 'muted' }, 'As JSON'), raw),
  );
  list.hidden = results.length === 0;
  if (explanation) box.insertBefore(make('p', { className: 'muted' }, explanation), counts);
  putAnswer(box);
  announce(`${title}: ${said.join(', ')}`);
}

/** One line per user and channel. */
function resultList(results) {
  const list = make('ul', { className: 'results', data: { testid: 'answer-results' } });
  for (const result of results.slice(0, 50)) {
    const reason = result.reason ? ` (${result.reason})` : '';
    const words = `${enumWord(result.channel, 'DELIVERY_CHANNEL_')}, ${enumWord(result.status, 'DELIVERY_STATUS_')}${reason}${dueWords(result)}`;
    list.append(make('li', {}, whose(result.userId ?? ''), `: ${words}`));
  }
  if (results.length > 50) list.append(make('li', { className: 'muted' }, `and ${results.length - 50} more`));
  return list;
}

/** Who a result is of; others with a link to their inbox. */
function whose(userId) {
  if (userId === user) return make('span', {}, 'you');
  if (nameProblem('user', userId) !== '') return make('span', {}, userId);
  const title = 'Opens this inbox in a new tab';
  return make('a', { href: pageFor(userId), target: '_blank', rel: 'noopener', title }, userId);
}

export function showFailure(error) {
  const box = make(
    'div',
    { className: 'answer', data: { state: 'error', testid: 'answer-box', code: error.code } },
    make(
      'p',
      { className: 'answer-title', data: { testid: 'answer-title' } },
      `Not sent: ${error.code.replaceAll('_', ' ')}`,
    ),
    make('p', { className: 'answer-text', data: { testid: 'answer-message' } }, error.message),
  );
  putAnswer(box);
  announce(`Not sent: ${error.message}`);
}
