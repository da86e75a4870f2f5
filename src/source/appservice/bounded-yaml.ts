import { LineCounter } from "yaml";
import { parseYaml } from "../../lib/yaml.ts";

/** Aliases may multiply; no configuration has many. */
const MAX_ALIASES = 10;

export type BoundedYaml = { readonly value: unknown } | { readonly problem: string };

/**
 * Parse YAML that a stranger may have written. What is wrong is told by code and line alone: the text may hold secrets.
 * Never throws.
 */
export function parseBoundedYaml(content: Uint8Array, maxSize: number): BoundedYaml {
  if (content.length > maxSize)
    return { problem: `has ${content.length} bytes, more than the ${maxSize} that are read` };
  const lineCounter = new LineCounter();
  try {
    const document = parseYaml(Buffer.from(content).toString(), { prettyErrors: false, lineCounter });
    const [broken] = document.errors;
    if (broken) {
      return { problem: `is no YAML: ${broken.code} in line ${lineCounter.linePos(broken.pos[0]).line}` };
    }
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch {
    return { problem: "cannot be read: it is nested or repeated beyond measure" };
  }
}
