import { arrange, byId, setText } from '../dom.js';
import { onRender } from '../redraw.js';
import { makeCard, updateAge, updateCard } from './card.js';
import { inbox, shownItems } from './inbox.js';
import { isLoading } from './loading.js';

/** The elements of the items that are shown, by id. */
const cards = new Map();

/** Shows the items, and keeps the keyboard where it was. */
function drawList() {
  const list = byId('list');
  const items = shownItems();
  const ids = new Set(items.map(({ id }) => id));
  const focused = document.activeElement;
  const lost = focused?.closest('.item');
  const lostAt = lost ? [...list.children].indexOf(lost) : -1;
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.element.remove();
    cards.delete(id);
  }
  const elements = items.map((item) => {
    const card = cards.get(item.id) ?? makeCard(item.id);
    cards.set(item.id, card);
    updateCard(card, item);
    if (inbox.arrived.has(item.id)) card.element.classList.add('arrived');
    return card.element;
  });
  arrange(list, elements);
  inbox.arrived.clear();
  if (lost && !lost.isConnected) {
    // the item under the keyboard is gone: go on with the one that took its place
    const heir = list.children[Math.min(lostAt, list.children.length - 1)];
    const same =
      heir?.querySelector(`[data-testid="${focused.dataset.testid}"]`) ?? heir?.querySelector('button');
    (same ?? byId('inbox-heading')).focus();
  }
  const isEmpty = items.length === 0 && inbox.cursor === '';
  byId('empty').hidden = !isEmpty;
  const hasFilteredOut = inbox.filter === 'unread';
  setText(
    byId('empty-text'),
    inbox.loaded
      ? hasFilteredOut
        ? 'Nothing unread.'
        : 'Nothing here yet.'
      : isLoading()
        ? 'Loading the inbox…'
        : 'The inbox is not loaded yet.',
  );
  byId('empty-link').hidden = !inbox.loaded;
  byId('more').hidden = inbox.cursor === '';
}

/** Moves the keyboard to an item, if it is shown. */
export function focusCard(id) {
  cards.get(id)?.element.querySelector('button')?.focus();
}

export function setUpList() {
  onRender(drawList);
  setInterval(() => {
    for (const [id, card] of cards) {
      const item = inbox.items.get(id);
      if (item) updateAge(card, item);
    }
  }, 20_000);
}
