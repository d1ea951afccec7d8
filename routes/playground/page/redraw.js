/** The parts of the page that show what may change anywhere, in the order in which they are drawn. */
const parts = [];
let timer;

/** Has a part drawn with every change from now on. */
export const onRender = (draw) => parts.push(draw);

/** Draws every part anew. */
export function render() {
  clearTimeout(timer);
  timer = undefined;
  for (const draw of parts) draw();
}

/** The same once what follows at once has been taken in too. */
export function renderSoon() {
  timer ??= setTimeout(render, 16);
}
