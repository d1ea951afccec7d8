export const byId = (id) => document.getElementById(id);

/** Makes an element. Everything that comes from outside goes in as text, never as markup. */
export function make(tag, properties = {}, ...children) {
  const { data = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

/** Puts elements into a list in their order. What is at its place already is not touched, so that it keeps the focus. */
export function arrange(list, elements) {
  let next = list.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** An int64 of protobuf JSON: a string, a number or absent. */
export function int64(value) {
  try {
    return BigInt(value ?? 0);
  } catch {
    return 0n;
  }
}

/** What somebody has typed into a field, without halves of characters. */
export const entered = (id) => byId(id).value.toWellFormed();

/** So much of a long text is shown at first, in UTF-16 units. */
export const textShown = 600;

export const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

/** 'DELIVERY_CHANNEL_IN_APP' → 'in-app' */
export const enumWord = (name, prefix) => String(name).replace(prefix, '').toLowerCase().replaceAll('_', '-');

function readBoot() {
  const defaults = { internalPort: 8081, clientPort: 8080, internalToken: false, providers: {}, sandbox: '' };
  try {
    return { ...defaults, ...JSON.parse(byId('boot').textContent) };
  } catch {
    return defaults;
  }
}

export const boot = readBoot();
window.__NOTIFY__ = boot;
