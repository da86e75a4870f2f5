import {
  type Document,
  type DocumentOptions,
  Lexer,
  type ParseOptions,
  parseDocument,
  type SchemaOptions,
  YAMLParseError,
} from "yaml";

/**
 * Names, values and marks, line breaks and comments: twenty times those of a long policy. The library compares every key
 * of a map with every other one, and puts what is nested together again at every level.
 */
const MAX_TOKENS = 20_000;

/**
 * A document of YAML. More than `most` tokens (default: `MAX_TOKENS`) are an error of it like any other. What is wrong with it is in its `errors` and `warnings`: the library's own way of warning writes to
 * standard error and quotes what it read, which may be a secret or drive a terminal.
 */
export function parseYaml(
  text: string,
  {
    most = MAX_TOKENS,
    ...how
  }: ParseOptions & DocumentOptions & SchemaOptions & { readonly most?: number } = {},
): Document.Parsed {
  if (!hasMore(text, most)) return parseDocument(text, { ...how, logLevel: "error" });
  const document = parseDocument("", { ...how, logLevel: "error" });
  const why = `more than ${most} names, values and marks`;
  document.errors.push(new YAMLParseError([0, 1], "RESOURCE_EXHAUSTION", why));
  return document;
}

function hasMore(text: string, most: number): boolean {
  let tokens = 0;
  for (const _token of new Lexer().lex(text)) if (++tokens > most) return true;
  return false;
}
