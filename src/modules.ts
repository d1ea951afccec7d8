import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FastifyPluginAsync, FastifyPluginCallback } from 'fastify';

// biome-ignore lint/suspicious/noExplicitAny: a module's plugins take whatever options they like
type AnyPlugin = FastifyPluginAsync<any> | FastifyPluginCallback<any>;

/**
 * A user's own module: Fastify plugins for the core instance and for each listener. On core it may call registerProvider
 * and registerStore; wrap it in fastify-plugin for its hooks and decorators to reach the others.
 */
export interface UserModule {
  readonly core?: AnyPlugin;
  readonly client?: AnyPlugin;
  readonly internal?: AnyPlugin;
  readonly ops?: AnyPlugin;
}

const places = ['core', 'client', 'internal', 'ops'] as const;

/**
 * Imports the modules that NOTIFY_PLUGINS names.
 * @param names paths, from the working directory, or package names
 * @throws an Error that names the module and what is wrong with it
 */
export async function loadModules(names: readonly string[]): Promise<UserModule[]> {
  const modules: UserModule[] = [];
  for (const name of names) {
    const isPath = name.startsWith('.') || isAbsolute(name);
    let module: Record<string, unknown>;
    try {
      module = await import(isPath ? pathToFileURL(resolve(name)).href : name);
    } catch (error) {
      throw new Error(`NOTIFY_PLUGINS: the module ${name} cannot be loaded`, { cause: error });
    }
    const found = places.filter((place) => module[place] !== undefined);
    if (found.length === 0 || found.some((place) => typeof module[place] !== 'function'))
      throw new Error(
        `NOTIFY_PLUGINS: the module ${name} must export Fastify plugins under ${places.join(', ')}`,
      );
    modules.push(module as UserModule);
  }
  return modules;
}
