/** A path of any bytes (raw, or one character a byte) as a sentence may show it: control characters escaped, bounded. */
export function shownPath(path: Uint8Array | string): string {
  const text = (typeof path === "string" ? Buffer.from(path, "latin1") : Buffer.from(path)).toString();
  const shown = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("\\\\", "\\");
  return shown.length <= 200 ? shown : `${shown.slice(0, 199)}…`;
}
