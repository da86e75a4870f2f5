import {
  type Document,
  type DocumentOptions,
  type ParseOptions,
  parseDocument,
  type SchemaOptions,
} from "yaml";

/**
 * A document of YAML. What is wrong with it is in its `errors` and `warnings`: the library's own way of warning writes to
 * standard error and quotes what it read, which may be a secret or drive a terminal.
 */
export function parseYaml(
  text: string,
  how: ParseOptions & DocumentOptions & SchemaOptions = {},
): Document.Parsed {
  return parseDocument(text, { ...how, logLevel: "error" });
}
