import { byId, setText } from '../dom.js';
import { announce } from '../telling.js';

let copyTimer;

/** Puts the code into the clipboard. */
export async function copyCode() {
  const code = byId('code');
  let isCopied = false;
  try {
    await navigator.clipboard.writeText(code.textContent);
    isCopied = true;
  } catch {
    // no clipboard on a page without TLS, other than localhost
    const selection = getSelection();
    selection.selectAllChildren(code);
    isCopied = document.execCommand('copy');
    if (isCopied) selection.removeAllRanges();
  }
  setText(byId('copy'), isCopied ? 'Copied' : 'Selected: press Ctrl+C');
  announce(isCopied ? 'Copied' : 'The code is selected');
  clearTimeout(copyTimer);
  copyTimer = setTimeout(() => setText(byId('copy'), 'Copy'), 2_500);
}
