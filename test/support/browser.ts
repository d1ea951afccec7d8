import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome'];

/** A Chromium on the PATH; undefined where none is installed. */
export function findChromium(): string | undefined {
  for (const name of names)
    for (const folder of (process.env.PATH ?? '').split(delimiter))
      try {
        const file = join(folder, name);
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // not here
      }
  return undefined;
}

/** What a test that needs a browser says when it is skipped; false where there is one. */
export const noChromium = findChromium() === undefined && `no ${names.join(', ')} on the PATH`;

export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('no Chromium on the PATH');
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
