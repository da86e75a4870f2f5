/** `a, b and 7 more`: the first few of what may be very many. */
export function someOf(all: readonly string[], most = 5, between = ", "): string {
  const more = all.length - most;
  return all.slice(0, most).join(between) + (more > 0 ? ` and ${more} more` : "");
}
