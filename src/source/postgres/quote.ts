/** An SQL identifier, always in double quotes: right for every name, whatever its case and whatever is a keyword. */
export function quoteIdentifier(name: string): string {
  return `"${plain(name).replaceAll('"', '""')}"`;
}

/** An SQL string, right whatever standard_conforming_strings says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${plain(text).replaceAll("'", "''")}'`;
  return quoted.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}

/** `schema.name`, both quoted. */
export function quoteName(named: { readonly schema: string; readonly name: string }): string {
  return `${quoteIdentifier(named.schema)}.${quoteIdentifier(named.name)}`;
}

function plain(text: string): string {
  if (text.includes("\0")) throw new TypeError("PostgreSQL knows no text with a NUL in it");
  return text;
}
