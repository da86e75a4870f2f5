import { createHash } from "node:crypto";
import { LineCounter } from "yaml";
import { DropsError, messageOf, systemCode } from "../lib/errors.ts";
import { readAtMost } from "../lib/read-at-most.ts";
import { parseYaml } from "../lib/yaml.ts";
import { locate, type Problem, problemsOf } from "./problems.ts";
import { Policy } from "./schema.ts";

/** Larger than any policy that a person wrote, small enough to hold. */
const MAX_BYTES = 1024 * 1024;
/** A policy has no use for YAML aliases beyond a repeated exclude list; this defuses expansion bombs. */
const MAX_ALIASES = 32;

export interface LoadedPolicy {
  readonly policy: Policy;
  /** Where it was read from, for sentences: a file, or the snapshot that carried it. */
  readonly origin: string;
  /** The YAML as written, comments included; every snapshot carries it. */
  readonly text: string;
  /** Of `text` in UTF-8, lower-case hex. */
  readonly sha256: string;
}

/** Read a policy file. Throws usage/invalid when it cannot be read and policy/invalid when it is not a policy. */
export async function loadPolicy(file: string): Promise<LoadedPolicy> {
  const bytes = await readBounded(file);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DropsError("policy/invalid", `${file} is not a valid policy: not UTF-8 text`, { cause });
  }
  return parsePolicy(text, file);
}

/** The only way in: past this line a policy is valid and nobody looks again. Throws policy/invalid naming every problem. */
export function parsePolicy(text: string, origin: string): LoadedPolicy {
  if (Buffer.byteLength(text) > MAX_BYTES) throw tooLarge(origin);
  const lines = new LineCounter();
  const document = parseYaml(text, { lineCounter: lines, strict: true, uniqueKeys: true });
  const syntax = [...document.errors, ...document.warnings].map(
    (error): Problem => ({ ...at(lines, error.pos[0]), path: "", what: firstLine(error.message) }),
  );
  if (syntax.length > 0) throw invalid(origin, syntax);

  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw invalid(origin, [{ line: 1, column: 1, path: "", what: messageOf(error) }]);
  }
  const read = Policy.safeParse(data, { reportInput: true });
  if (!read.success) {
    const problems = problemsOf(read.error.issues).map(({ path, key, what }) => {
      const offset = locate(document, path, key);
      return { ...at(lines, offset), path: pathInWords(path), what };
    });
    throw invalid(origin, problems);
  }
  return { policy: read.data, origin, text, sha256: createHash("sha256").update(text).digest("hex") };
}

async function readBounded(file: string): Promise<Buffer> {
  try {
    const bytes = await readAtMost(file, MAX_BYTES);
    if (bytes === undefined) throw tooLarge(file);
    return bytes;
  } catch (error) {
    if (error instanceof DropsError) throw error;
    const why = systemCode(error) ?? messageOf(error);
    throw new DropsError("usage/invalid", `cannot read the policy ${file}: ${WHY[why] ?? why}`, {
      hint: "drops policy check --policy FILE",
      cause: error,
    });
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is not a directory",
};

function tooLarge(origin: string): DropsError {
  return new DropsError("policy/invalid", `${origin} is not a valid policy: larger than 1 MiB`);
}

function invalid(origin: string, problems: readonly Problem[]): DropsError {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const listed = sorted.map(({ line, column, path, what }) => {
    return `  ${origin}:${line}:${column} ${path === "" ? "" : `${path}: `}${what}`;
  });
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return new DropsError("policy/invalid", `${origin} is not a valid policy, ${count}\n${listed.join("\n")}`, {
    hint: "drops policy schema  (lists every field; policies/demo.yaml is a commented example)",
  });
}

function at(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** `["sources", 0, "path"]` as `sources[0].path`. */
function pathInWords(path: readonly PropertyKey[]): string {
  return path.reduce<string>((words, part) => {
    if (typeof part === "number") return `${words}[${part}]`;
    return words === "" ? String(part) : `${words}.${String(part)}`;
  }, "");
}

/** The yaml package adds ` at line 3, column 5:` and a drawing of the place; the position is said already. */
function firstLine(message: string): string {
  return (message.split("\n")[0] ?? message).replace(/ at line \d+, column \d+:?$/, "");
}
