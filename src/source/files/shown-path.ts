/** A path of any bytes, relative to `/`, as a sentence may show it: absolute, with control characters escaped. */
export function shownPath(path: Uint8Array): string {
  const text = JSON.stringify(Buffer.from(path).toString()).slice(1, -1);
  return `/${text.replaceAll('\\"', '"').replaceAll("\\\\", "\\")}`;
}
