/** Characters that cannot be seen must not hide in code that somebody copies. */
const unseen = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export const json = (value, indent) =>
  JSON.stringify(value, null, indent).replace(
    unseen,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** A text as a literal of JavaScript. */
export const inJs = (text) => `'${json(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;

/** A value as a literal of JavaScript or Python. */
export function literal(value, language, by = '') {
  const inner = `${by}${language.indent}`;
  if (Array.isArray(value)) return `[${value.map((item) => literal(item, language, by)).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0) return '{}';
    const lines = entries.map(
      ([key, item]) => `${inner}${language.key(key)}: ${literal(item, language, inner)},`,
    );
    return `{\n${lines.join('\n')}\n${by}}`;
  }
  return language.scalar(value);
}

/** The variable of the environment that examples take the internal token from. */
export const tokenVariable = 'NOTIFY_INTERNAL_TOKEN';
