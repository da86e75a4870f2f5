/** A path of any bytes (raw, or one character a byte) as a sentence may show it: control characters escaped, bounded. */
export function shownPath(path: Uint8Array | string): string {
  const shown = escaped(typeof path === "string" ? Buffer.from(path, "latin1") : path);
  return shown.length <= 200 ? shown : `${shown.slice(0, 199)}…`;
}

/** A path of a host, given relative to `/`: absolute, escaped, and as long as it is. */
export function shownHostPath(path: Uint8Array): string {
  return `/${escaped(path)}`;
}

function escaped(path: Uint8Array): string {
  const text = JSON.stringify(Buffer.from(path).toString()).slice(1, -1);
  return text.replaceAll('\\"', '"').replaceAll("\\\\", "\\");
}
