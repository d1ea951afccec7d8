import { byId, make, setText } from '../dom.js';
import { onRender } from '../redraw.js';
import { copyCode } from './copy.js';
import { curl } from './curl.js';
import { eventsource } from './event-source.js';
import { go } from './go.js';
import { javascript } from './javascript.js';
import { describeCall, operations } from './operations.js';
import { python } from './python.js';

const languages = { curl, javascript, go, python, eventsource };

let language = 'curl';

function renderCode() {
  const operation = byId('call').value || 'notify';
  const { stream: streamCode, call: callCode } = languages[language];
  const isNarrowed = language === 'eventsource';
  setText(
    byId('code'),
    operation === 'stream' || isNarrowed ? streamCode() : callCode(describeCall(operation)),
  );
}

export function setUpCode() {
  onRender(renderCode);
  byId('call').append(
    ...Object.entries(operations).map(([value, { label }]) => make('option', { value }, label)),
  );
  byId('call').addEventListener('change', renderCode);
  const names = Object.keys(languages);
  const tabs = names.map((name) =>
    make(
      'button',
      {
        type: 'button',
        className: 'tab',
        role: 'tab',
        id: `tab-${name}`,
        data: { testid: `code-tab-${name}` },
      },
      languages[name].label,
    ),
  );
  const choose = (index) => {
    language = names[index];
    tabs.forEach((tab, at) => {
      tab.setAttribute('aria-selected', String(at === index));
      tab.setAttribute('aria-controls', 'code');
      tab.tabIndex = at === index ? 0 : -1;
    });
    byId('code').setAttribute('aria-labelledby', tabs[index].id);
    byId('code').scrollTop = 0;
    renderCode();
  };
  tabs.forEach((tab, index) => {
    tab.onclick = () => choose(index);
    tab.onkeydown = ({ key }) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 }[key];
      if (to === undefined) return;
      const at = (to + tabs.length) % tabs.length;
      choose(at);
      tabs[at].focus();
    };
  });
  byId('tabs').append(...tabs);
  choose(0);
  byId('copy').onclick = copyCode;
}
