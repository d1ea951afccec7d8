import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { PlaygroundPage } from './page.ts';

/** A tab in a profile of its own. Errors of the page fail the test. */
export async function openTab(
  t: TestContext,
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<PlaygroundPage> {
  const context = await browser.newContext(options);
  // enough for the page to ask for its stream a second time, see firstWordMs
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    // the browser itself reports answers and connections that fail, and that a private window has no push; the page shows them
    const isOwn = /^Failed to load resource|net::ERR_|Push API in incognito/.test(message.text());
    if (message.type() === 'error' && !isOwn) errors.push(message.text());
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(errors, []);
  });
  return new PlaygroundPage(page);
}
