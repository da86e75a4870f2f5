/** What no XML may hold and no page should: control characters, what reorders or hides text, and lone surrogates. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\ufffe\uffff]/gu;
const NAMED: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Foreign text for XML and HTML, in content and in quoted attributes: nothing of it is markup, and all of it is seen. */
export function escaped(text: string): string {
  return text
    .replaceAll(UNSAFE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
    .replaceAll(/[&<>"']/g, (character) => NAMED[character] ?? character);
}
