const storageKey = 'notify-playground-push';

/** This browser's name among a user's devices, and who gets its messages now. */
export function remembered() {
  try {
    return JSON.parse(localStorage.getItem(storageKey)) ?? {};
  } catch {
    return {};
  }
}

export function keep(change) {
  try {
    localStorage.setItem(storageKey, JSON.stringify({ ...remembered(), ...change }));
  } catch {
    // it works without, until the page is closed
  }
}

export function deviceId() {
  const known = remembered().deviceId;
  if (known) return known;
  const made = `playground-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  keep({ deviceId: made });
  return made;
}
