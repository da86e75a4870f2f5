/** Bytes of UTF-8. With these an alert as JSON stays below the 8 KiB that ntfy reads. */
export const MOST = { title: 120, message: 1800, log: 3500, json: 7500, line: 400 } as const;

/** The beginning of `text` in at most `most` bytes of UTF-8, cut between characters. */
export function head(text: string, most: number): string {
  if (Buffer.byteLength(text) <= most) return text;
  let length = 0;
  let kept = "";
  for (const character of text) {
    length += Buffer.byteLength(character);
    if (length > most - 3) break; // the ellipsis has three
    kept += character;
  }
  return `${kept}…`;
}

/** The last of `lines` that fit in `most` bytes, long ones shortened. */
export function tail(lines: readonly string[], most: number): string {
  const kept: string[] = [];
  let length = 0;
  for (const line of lines.toReversed()) {
    const short = head(line, MOST.line);
    length += Buffer.byteLength(short) + 1;
    if (length > most) break;
    kept.push(short);
  }
  return kept.toReversed().join("\n");
}
