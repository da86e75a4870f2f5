/** A word of SQL, as far as statements of pg_dumpall need it. */
export interface Token {
  readonly kind: "word" | "name" | "string" | "number" | "other";
  /** Unquoted; a bare word in lower case. */
  readonly text: string;
}

/** What begins here; a quote begins a name or a string, whose end is looked for by hand: a regular expression has a stack. */
const TOKEN =
  /\s+|--[^\n]*|\\[^\n]*|(\b[eE]'|["'])|(-?\d+)|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|[\s\S]/y;

/**
 * Statements, each as its tokens. Comments are left out, and so is what psql would take as a command of its own (from a backslash
 * to the end of the line). Standard-conforming strings are expected, and `E''`.
 */
export function* statementsOf(sql: string): Generator<readonly Token[]> {
  let statement: Token[] = [];
  for (const token of tokensOf(sql)) {
    if (token.kind === "other" && token.text === ";") {
      if (statement.length > 0) yield statement;
      statement = [];
    } else {
      statement.push(token);
    }
  }
  if (statement.length > 0) yield statement;
}

function* tokensOf(sql: string): Generator<Token> {
  for (let at = 0; at < sql.length; ) {
    TOKEN.lastIndex = at;
    const [text = "", quote, number, word] = TOKEN.exec(sql) ?? [];
    at += text.length;
    if (quote !== undefined) {
      const end = endOfQuoted(sql, at, quote);
      yield quoted(sql.slice(at, end), quote, end < sql.length);
      at = end + 1;
    } else if (number !== undefined) yield { kind: "number", text: number };
    else if (word !== undefined) yield { kind: "word", text: word.toLowerCase() };
    else if (!/^(\s|--|\\)/.test(text)) yield { kind: "other", text };
  }
}

/** Where the closing quote stands; the end of everything when there is none. */
function endOfQuoted(sql: string, from: number, quote: string): number {
  const closing = quote.slice(-1);
  for (let at = from; at < sql.length; at++) {
    if (quote.length === 2 && sql[at] === "\\") at++;
    else if (sql[at] === closing) {
      if (sql[at + 1] !== closing) return at;
      at++;
    }
  }
  return sql.length;
}

/** What is never closed, and a name without a letter, is neither name nor string. */
function quoted(text: string, quote: string, isClosed: boolean): Token {
  if (!isClosed || (quote === '"' && text === "")) return { kind: "other", text: quote };
  if (quote === '"') return { kind: "name", text: text.replaceAll('""', '"') };
  return { kind: "string", text: quote === "'" ? text.replaceAll("''", "'") : unescaped(text) };
}

/** pg_dumpall writes a backslash as two, and nothing else with one. */
function unescaped(text: string): string {
  return text.replaceAll("''", "'").replaceAll(/\\([\s\S])/g, "$1");
}
