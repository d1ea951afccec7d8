import { token } from '../identity.js';
import { clientUrl } from './addresses.js';
import { json, tokenVariable } from './literals.js';

const inShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export const curl = {
  label: 'curl',
  stream: () => `curl -sS -N ${inShell(`${clientUrl}/v1/events`)} \\
  -H ${inShell(`Authorization: Bearer ${token}`)}
`,
  call: ({ url, body, bearer, needsInternalToken }) => {
    const lines = [`curl -sS ${inShell(url)}`, "  -H 'Content-Type: application/json'"];
    if (bearer) lines.push(`  -H ${inShell(`Authorization: ${bearer}`)}`);
    if (needsInternalToken) lines.push(`  -H "X-Notify-Internal-Token: $${tokenVariable}"`);
    lines.push(`  --data-raw ${inShell(json(body, 2))}`);
    return `${lines.join(' \\\n')}\n`;
  },
};
