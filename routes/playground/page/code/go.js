import { token } from '../identity.js';
import { clientUrl } from './addresses.js';
import { json, tokenVariable } from './literals.js';

// a raw string cannot hold a backtick
const inGo = (text) => (text.includes('`') ? json(text) : `\`${text}\``);

export const go = {
  label: 'Go',
  stream: () => `package main

import (
	"bufio"
	"fmt"
	"log"
	"net/http"
)

func main() {
	req, err := http.NewRequest(http.MethodGet, ${json(`${clientUrl}/v1/events`)}, nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", ${json(`Bearer ${token}`)})
	// after a break: req.Header.Set("Last-Event-ID", the last id)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		fmt.Println(lines.Text())
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
`,
  call: ({ url, body, bearer, needsInternalToken }) => `package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
${needsInternalToken ? '\t"os"\n' : ''}	"strings"
)

func main() {
	body := strings.NewReader(${inGo(json(body, 2))})
	req, err := http.NewRequest(http.MethodPost, ${json(url)}, body)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
${bearer ? `	req.Header.Set("Authorization", ${json(bearer)})\n` : ''}${needsInternalToken ? `	req.Header.Set("X-Notify-Internal-Token", os.Getenv("${tokenVariable}"))\n` : ''}	res, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Status, string(answer))
}
`,
};
