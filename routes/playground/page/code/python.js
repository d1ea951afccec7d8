import { token } from '../identity.js';
import { clientUrl } from './addresses.js';
import { json, literal, tokenVariable } from './literals.js';

const syntax = {
  indent: '    ',
  key: (name) => json(name),
  scalar: (value) => (value === true ? 'True' : value === false ? 'False' : json(value)),
};

export const python = {
  label: 'Python',
  stream: () => `import urllib.request

request = urllib.request.Request(
    ${json(`${clientUrl}/v1/events`)},
    headers={"Authorization": ${json(`Bearer ${token}`)}},
)
# after a break: request.add_header("Last-Event-ID", the last id)
with urllib.request.urlopen(request) as response:
    for line in response:
        print(line.decode().rstrip("\\n"), flush=True)
`,
  call: ({ url, body, bearer, needsInternalToken }) => {
    const headers = ['        "Content-Type": "application/json",'];
    if (bearer) headers.push(`        "Authorization": ${json(bearer)},`);
    if (needsInternalToken)
      headers.push(`        "X-Notify-Internal-Token": os.environ["${tokenVariable}"],`);
    return `import json
${needsInternalToken ? 'import os\n' : ''}import urllib.error
import urllib.request

body = ${literal(body, syntax)}
request = urllib.request.Request(
    ${json(url)},
    data=json.dumps(body).encode(),
    headers={
${headers.join('\n')}
    },
)
try:
    with urllib.request.urlopen(request, timeout=10) as response:
        print(json.load(response))
except urllib.error.HTTPError as error:
    print(error.code, json.load(error))
`;
  },
};
