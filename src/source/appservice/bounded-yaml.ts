import { LineCounter } from "yaml";
import type * as z from "zod";
import { parseYaml } from "../../lib/yaml.ts";

/** Aliases may multiply; no configuration has many. */
const MAX_ALIASES = 10;

type BoundedYaml = { readonly value: unknown } | { readonly problem: string };

/**
 * Parse YAML that a stranger may have written. What is wrong is told by code and line alone: the text may hold secrets.
 * Never throws.
 *
 * @param most `bytes`; `tokens`: names, values and marks, default as of `parseYaml`
 */
export function parseBoundedYaml(
  content: Uint8Array,
  most: { readonly bytes: number; readonly tokens?: number },
): BoundedYaml {
  if (content.length > most.bytes)
    return { problem: `has ${content.length} bytes, more than the ${most.bytes} that are read` };
  const lineCounter = new LineCounter();
  const tokens = most.tokens === undefined ? {} : { most: most.tokens };
  try {
    const document = parseYaml(Buffer.from(content).toString(), {
      prettyErrors: false,
      lineCounter,
      ...tokens,
    });
    const [broken] = document.errors;
    if (broken) {
      return { problem: `is no YAML: ${broken.code} in line ${lineCounter.linePos(broken.pos[0]).line}` };
    }
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch {
    return { problem: "cannot be read: it is nested or repeated beyond measure" };
  }
}

/** Names the fields that are wrong, and no value of them. */
export function malformedAt({ issues }: z.ZodError): string {
  const fields = issues.map(({ path }) => path.join(".") || "the whole");
  return `is malformed at ${[...new Set(fields)].join(", ")}`;
}
