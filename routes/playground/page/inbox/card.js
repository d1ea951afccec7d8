import { enumWord, make, setText, shorten, textShown } from '../dom.js';
import { absoluteTime, ago } from '../times.js';
import { markRead, markUnread, remove } from './actions.js';
import { inbox } from './inbox.js';
import { isRead, isUnread } from './item.js';

/** The elements of one item. They stay while it is shown, so that focus stays where it was. */
export function makeCard(id) {
  const current = () => inbox.items.get(id);
  const button = (testId, label) =>
    make('button', { type: 'button', className: 'quiet', data: { testid: testId } }, label);
  const card = {
    dot: make('span', { className: 'dot' }, make('span', { className: 'sr-only' }, 'Unread')),
    title: make('h3', { className: 'item-title', data: { testid: 'item-title' } }),
    time: make('time', { data: { testid: 'item-time' } }),
    text: make('p', { className: 'item-text', data: { testid: 'item-body' } }),
    whole: button('show-all', 'Show all of it'),
    links: make('div', { className: 'links' }),
    meta: make('p', { className: 'meta', data: { testid: 'item-meta' } }),
    read: button('mark-read', 'Mark read'),
    archive: button('archive', 'Archive'),
    delete: button('delete', 'Delete'),
    isWhole: false,
  };
  card.element = make(
    'li',
    { className: 'item', data: { testid: 'item', id } },
    make('div', { className: 'item-head' }, card.dot, card.title, card.time),
    card.text,
    card.whole,
    card.links,
    make(
      'div',
      { className: 'foot' },
      card.meta,
      make('div', { className: 'item-actions' }, card.read, card.archive, card.delete),
    ),
  );
  card.whole.onclick = () => {
    card.isWhole = !card.isWhole;
    updateCard(card, current());
  };
  card.read.onclick = () => {
    const item = current();
    if (item) (isRead(item) ? markUnread : markRead)(item);
  };
  card.archive.onclick = () => current() && remove('archive', current());
  card.delete.onclick = () => current() && remove('delete', current());
  card.element.addEventListener('animationend', (event) => {
    if (event.animationName === 'tint') card.element.classList.remove('arrived');
  });
  return card;
}

/** Shows an item as it is now. */
export function updateCard(card, item) {
  if (item === undefined) return;
  const unread = isUnread(item);
  const title = item.title || '(no title)';
  card.element.classList.toggle('unread', unread);
  card.dot.hidden = !unread;
  card.element.dataset.notificationId = item.notificationId ?? '';
  card.element.dataset.unread = String(unread);
  setText(card.title, title);
  const body = item.body ?? '';
  const isLong = body.length > textShown;
  setText(card.text, isLong && !card.isWhole ? shorten(body, textShown) : body);
  card.text.hidden = body === '';
  card.whole.hidden = !isLong;
  setText(card.whole, card.isWhole ? 'Show less' : 'Show all of it');
  const createdAt = new Date(Number(item.createdAtMs ?? 0));
  if (!Number.isNaN(createdAt.getTime())) {
    card.time.dateTime = createdAt.toISOString();
    card.time.title = absoluteTime.format(createdAt);
    setText(card.time, ago(createdAt.getTime()));
  }
  const links = linksOf(item).map(({ label, url }) => {
    const href = safeUrl(url);
    if (href === undefined)
      return make(
        'span',
        { className: 'muted', title: url },
        `${label}: hidden, since only http and https links open from here`,
      );
    return make(
      'a',
      { href, target: '_blank', rel: 'noopener noreferrer', title: url, data: { testid: 'item-link' } },
      label,
    );
  });
  card.links.replaceChildren(...links);
  card.links.hidden = links.length === 0;
  card.meta.replaceChildren(...metaOf(item).map((text) => make('span', {}, text)));
  setText(card.read, isRead(item) ? 'Mark unread' : 'Mark read');
  card.read.dataset.testid = isRead(item) ? 'mark-unread' : 'mark-read';
  for (const button of [card.read, card.archive, card.delete])
    button.setAttribute('aria-label', `${button.textContent}: ${shorten(title, 80)}`);
}

/** Shows how old an item is by now. */
export function updateAge(card, item) {
  setText(card.time, ago(Number(item.createdAtMs ?? 0)));
}

function linksOf(item) {
  const wanted = [];
  if (item.actionUrl) wanted.push({ label: 'Open', url: item.actionUrl });
  for (const { label, url } of item.actions ?? []) wanted.push({ label: label || 'Open', url });
  return wanted;
}

/** Only http and https, relative addresses included, are opened from here. */
function safeUrl(text) {
  try {
    const url = new URL(text, location.href);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function metaOf(item) {
  const parts = [isRead(item) ? 'read' : enumWord(item.status ?? 'pending', 'DELIVERY_STATUS_')];
  if (item.type) parts.push(item.type);
  const subject = [item.subjectType, item.subjectRef].filter(Boolean).join(' ');
  if (subject && subject !== item.type) parts.push(subject);
  const channels = (item.channels?.length ? item.channels : [item.channel ?? '']).map((name) =>
    enumWord(name, 'DELIVERY_CHANNEL_'),
  );
  if (channels.join() !== 'in-app') parts.push(channels.join(', '));
  if (item.urgency && item.urgency !== 'URGENCY_UNSPECIFIED')
    parts.push(`${enumWord(item.urgency, 'URGENCY_')} urgency`);
  if (item.groupCount > 1) parts.push(`${item.groupCount} grouped`);
  return parts;
}
