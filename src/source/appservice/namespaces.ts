/**
 * Whether a registration's expression for users is of this server: it ends in `:domain`. An expression that names no server
 * is of every server. The expression is never run, since one can be written that takes for ever.
 */
export function isOfDomain(regex: string, domain: string): boolean {
  const text = literal(regex);
  return !text.includes(":") || text.endsWith(`:${domain}`);
}

/**
 * Whether an expression admits a user, as far as it is made of letters, `.*` and `.+`, which is all that bridges write;
 * undefined for any other.
 */
export function admits(regex: string, user: string): boolean | undefined {
  const pieces = literal(regex).split(/\.[*+]/);
  if (pieces.some((piece) => /[[\](){}|*+?^$]/.test(piece))) return undefined;
  const [first = "", ...rest] = pieces;
  const last = rest.pop();
  if (last === undefined) return user === first;
  if (!user.startsWith(first) || !user.endsWith(last)) return false;
  let at = first.length;
  const end = user.length - last.length;
  for (const piece of rest) {
    const found = user.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= end;
}

/** Without anchors, and without the backslashes before full stops and the like. */
function literal(regex: string): string {
  return regex
    .replace(/^\^/, "")
    .replace(/\$$/, "")
    .replace(/\\([^A-Za-z0-9])/g, "$1");
}
