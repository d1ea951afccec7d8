import { type Format, type Template, TemplateError, templateOf } from './template.ts';
import { variableNames } from './values.ts';

/** Collects what is wrong, by the place in the definition: `body.json.text`, `headers.authorization`. */
export type Complain = (place: string, message: string) => void;

/** Values that are the same for every message, by name. */
export type Environment = Readonly<Record<string, string>>;

/** Reads the templates of one definition, and tells what is wrong with them. */
export class TemplateReader {
  readonly env: Environment;
  /** What the templates read of env. */
  readonly variables = new Set<string>();
  readonly #complain: Complain;
  #isWrong = false;

  constructor(env: Environment, complain: Complain) {
    this.env = env;
    this.#complain = complain;
  }

  /** Whether anything was. */
  get isWrong(): boolean {
    return this.#isWrong;
  }

  wrong(place: string, message: string): void {
    this.#isWrong = true;
    this.#complain(place, message);
  }

  /** @returns one that makes nothing where it is wrong */
  read(place: string, text: string, format: Format): Template {
    try {
      const template = templateOf(text, format);
      for (const path of template.reads) this.#check(place, path);
      return template;
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      this.wrong(place, error.message);
      return nothing;
    }
  }

  /** @returns undefined where it is not set; that is told */
  variable(place: string, name: string): string | undefined {
    this.variables.add(name);
    if (Object.hasOwn(this.env, name)) return this.env[name];
    this.wrong(place, `reads env.${name}, which is not set, or does not begin with NOTIFY_HTTP_`);
    return undefined;
  }

  #check(place: string, path: Template['reads'][number]): void {
    const [root, name] = path;
    if (root === 'env') {
      if (name === undefined || path.length > 2)
        this.wrong(place, 'reads env without naming one variable; write env.NAME');
      else this.variable(place, name);
    } else if (root === undefined || !(variableNames as readonly string[]).includes(root))
      this.wrong(
        place,
        `reads ${root ?? 'a computed name'}, which is no variable; there are ${variableNames.join(', ')} and env`,
      );
  }
}

const nothing: Template = { reads: [], render: () => '' };
