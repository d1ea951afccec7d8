import { eventsource } from './event-source.js';
import { inJs, literal, tokenVariable } from './literals.js';

const js = {
  indent: '  ',
  key: (name) => name,
  scalar: (value) => (typeof value === 'string' ? inJs(value) : String(value)),
};

export const javascript = {
  label: 'JavaScript',
  stream: eventsource.stream,
  call: ({ url, body, bearer, needsInternalToken }) => {
    const headers = ["    'Content-Type': 'application/json',"];
    if (bearer) headers.push(`    Authorization: ${inJs(bearer)},`);
    if (needsInternalToken) headers.push(`    'X-Notify-Internal-Token': process.env.${tokenVariable},`);
    return `const response = await fetch(${inJs(url)}, {
  method: 'POST',
  headers: {
${headers.join('\n')}
  },
  body: JSON.stringify(${literal(body, js, '  ')}),
});
const answer = await response.json();
if (!response.ok) throw new Error(\`\${answer.code}: \${answer.message}\`);
console.log(answer);
`;
  },
};
