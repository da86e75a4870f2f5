/**
 * Whether `*` (anything) and `?` (one character) in a pattern can stand for what is in the text, all else being itself. No
 * regular expression: some patterns would take it longer than anybody waits.
 */
export function matchesGlob(text: string, pattern: string): boolean {
  let [at, from] = [0, 0];
  let star: { readonly from: number; at: number } | undefined;
  while (at < text.length) {
    if (pattern[from] === "*") star = { from: from++, at };
    else if (from < pattern.length && (pattern[from] === "?" || pattern[from] === text[at])) {
      at++;
      from++;
    } else if (star) {
      at = ++star.at; // the last star takes one more
      from = star.from + 1;
    } else return false;
  }
  while (pattern[from] === "*") from++;
  return from === pattern.length;
}
