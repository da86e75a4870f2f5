/** A word of SQL, as far as statements of pg_dumpall need it. */
export interface Token {
  readonly kind: "word" | "name" | "string" | "number" | "other";
  /** Unquoted; a bare word in lower case. */
  readonly text: string;
}

const TOKEN =
  /\s+|--[^\n]*|\\[^\n]*|"((?:[^"]|"")+)"|\b[eE]'((?:[^'\\]|''|\\[\s\S])*)'|'((?:[^']|'')*)'|(-?\d+)|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|([\s\S])/gy;

/**
 * Statements, each as its tokens. Comments are left out, and so is what psql would take as a command of its own (from a backslash
 * to the end of the line). Standard-conforming strings are expected, and `E''`.
 */
export function* statementsOf(sql: string): Generator<readonly Token[]> {
  let statement: Token[] = [];
  for (const match of sql.matchAll(TOKEN)) {
    const token = tokenOf(match);
    if (token === undefined) continue;
    if (token.kind === "other" && token.text === ";") {
      if (statement.length > 0) yield statement;
      statement = [];
    } else {
      statement.push(token);
    }
  }
  if (statement.length > 0) yield statement;
}

function tokenOf(match: RegExpExecArray): Token | undefined {
  const [, name, escaped, string, number, word, other] = match;
  if (name !== undefined) return { kind: "name", text: name.replaceAll('""', '"') };
  if (escaped !== undefined) return { kind: "string", text: unescaped(escaped) };
  if (string !== undefined) return { kind: "string", text: string.replaceAll("''", "'") };
  if (number !== undefined) return { kind: "number", text: number };
  if (word !== undefined) return { kind: "word", text: word.toLowerCase() };
  return other === undefined ? undefined : { kind: "other", text: other };
}

/** pg_dumpall writes a backslash as two, and nothing else with one. */
function unescaped(text: string): string {
  return text.replaceAll("''", "'").replaceAll(/\\([\s\S])/g, "$1");
}
