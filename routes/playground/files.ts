import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';

const folder = new URL('./page/', import.meta.url);

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

export interface PageFile {
  readonly type: string;
  readonly text: string;
}

/** Everything that the page is made of, by its path in the page's folder. */
export async function readPageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const files = new Map<string, PageFile>();
  for (const name of await readdir(folder, { recursive: true })) {
    const type = types[extname(name)];
    if (type !== undefined) files.set(name, { type, text: await readFile(new URL(name, folder), 'utf8') });
  }
  return files;
}
