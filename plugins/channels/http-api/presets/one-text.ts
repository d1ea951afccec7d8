/** Liquid that makes `text`: title, body and link, one under the other. */
export const oneText =
  '{% assign text = title %}{% if title != "" and body != "" %}{% assign text = text | append: "\n" %}{% endif %}' +
  '{% assign text = text | append: body %}' +
  '{% if link != "" %}{% assign text = text | append: "\n" | append: link %}{% endif %}';
