// Names and messages come from servers that may have been broken into: nothing of theirs may drive a terminal.

/** Control characters, lone surrogates, what reorders or hides text, and line separators. */
const UNSAFE = /[\p{Cc}\p{Cs}\p{Cf}\u2028\u2029]/gu;
const ESCAPE = "\u001b";
/** The styles that `Paint` uses, and no other escape sequence. */
const STYLE = new RegExp(`(${ESCAPE}\\[(?:1|2|22|31|32|33|39)m)`);

/** Foreign text as one line that is safe to print: unsafe characters as `\n`, `\x1b`, `\u202e`. */
export function clean(text: string): string {
  return text.replaceAll(UNSAFE, escaped);
}

/** Whole text of ours that may hold foreign parts: lines and our own styles stay, everything else is escaped. */
export function cleanBlock(text: string): string {
  return text
    .split(STYLE)
    .map((part, index) => (index % 2 === 1 ? part : part.split("\n").map(clean).join("\n")))
    .join("");
}

function escaped(character: string): string {
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
  if (short !== undefined) return short;
  const code = (character.codePointAt(0) ?? 0).toString(16);
  if (code.length > 4) return `\\u{${code}}`;
  return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
}
