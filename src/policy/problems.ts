import { type Document, isMap, isNode, isScalar } from "yaml";
import type * as z from "zod";

/** One thing that is wrong with a policy, and where (both count from 1). */
export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly what: string;
}

export interface PolicyProblem {
  readonly path: readonly PropertyKey[];
  /** The key under `path` that the finding is about, when it should not be there. */
  readonly key?: string;
  readonly what: string;
}

type Issue = z.core.$ZodIssue;

/** zod's issues in the words of a policy. Values are never quoted: a secret may have been pasted into the wrong field. */
export function problemsOf(issues: readonly Issue[], under: readonly PropertyKey[] = []): PolicyProblem[] {
  return issues.flatMap((issue): PolicyProblem[] => {
    const path = [...under, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ path, key, what: `unknown field ${key}` }));
    }
    if (issue.code === "invalid_union") return unionProblems(issue, path);
    return [{ path, what: inWords(issue) }];
  });
}

/** Of a union's branches the one that got furthest is the one that was meant; when several did, none was. */
function unionProblems(
  issue: Issue & { code: "invalid_union" },
  path: readonly PropertyKey[],
): PolicyProblem[] {
  const branches = issue.errors.filter((branch) => branch.length > 0);
  if (branches.length === 0) return [{ path, what: `${got(issue)}expected ${kinds(issue)}` }];
  const depth = (branch: readonly Issue[]) => Math.min(...branch.map((each) => each.path.length));
  const deepest = Math.max(...branches.map(depth));
  const meant = branches.filter((branch) => depth(branch) === deepest);
  if (meant.length === 1 && deepest > 0) return problemsOf(meant[0] ?? [], path);
  const choices = branches.map((branch) => choice(branch));
  return [{ path, what: `${got(issue)}expected ${[...new Set(choices)].join(" or ")}` }];
}

function choice(branch: readonly Issue[]): string {
  const [first] = branch;
  if (first?.code === "invalid_value") return first.values.map(String).join(" or ");
  const missing = branch.filter((issue) => issue.path.length > 0 && issue.input === undefined);
  if (missing.length > 0) return `an object with ${missing.map((issue) => String(issue.path[0])).join(", ")}`;
  return first?.code === "invalid_type" ? article(first.expected) : (first?.message ?? "something else");
}

function kinds(issue: Issue & { code: "invalid_union" }): string {
  const options = "options" in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
  return options.length > 0 ? `one of ${options.join(", ")}` : "another value";
}

function inWords(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `${got(issue)}expected ${article(issue.expected)}`;
    case "invalid_value":
      return `${got(issue)}expected ${issue.values.map(String).join(" or ")}`;
    case "too_small":
      return `expected ${issue.inclusive === false ? "more than" : "at least"} ${amount(issue.minimum, issue.origin)}`;
    case "too_big":
      return `expected ${issue.inclusive === false ? "less than" : "at most"} ${amount(issue.maximum, issue.origin)}`;
    case "invalid_format":
      return `expected ${issue.message}`;
    default:
      return issue.message;
  }
}

function amount(bound: number | bigint, origin: string): string {
  if (origin === "string") return `${bound} characters`;
  return origin === "array" ? `${bound} of them` : String(bound);
}

function got(issue: Issue): string {
  if (issue.input === undefined) return "missing, ";
  if (issue.input === null) return "empty, ";
  return "";
}

function article(kind: string): string {
  if (kind === "int") return "a whole number";
  if (kind === "array") return "a list";
  return /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}

/** The offset in the text of what `path` (or `key` under it) names, or of the nearest thing around it. */
export function locate(document: Document.Parsed, path: readonly PropertyKey[], key?: string): number {
  const node = nodeAt(document, path);
  if (!node) return path.length === 0 ? 0 : locate(document, path.slice(0, -1));
  if (key !== undefined) return keyOffset(node, key) ?? node.start;
  // a map or a list is pointed at by its key, which is where the eye looks
  return (isScalar(node.node) ? undefined : parentKeyOffset(document, path)) ?? node.start;
}

function nodeAt(document: Document.Parsed, path: readonly PropertyKey[]) {
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) && node.range ? { node, start: node.range[0] } : undefined;
}

function parentKeyOffset(document: Document.Parsed, path: readonly PropertyKey[]): number | undefined {
  const last = path.at(-1);
  const parent = path.length > 0 ? nodeAt(document, path.slice(0, -1)) : undefined;
  return parent && typeof last === "string" ? keyOffset(parent, last) : undefined;
}

function keyOffset({ node }: { readonly node: unknown }, key: string): number | undefined {
  if (!isMap(node)) return undefined;
  const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
  return pair && isScalar(pair.key) ? pair.key.range?.[0] : undefined;
}
