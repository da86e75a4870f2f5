import { isSyntax, parseModule, type Syntax, visit } from "./syntax.ts";

/** One way that the code can go. It was gone when `taken` ran, or, with `outOf`, when `outOf` ran more often than `taken`. */
export interface Branch {
  /** Offsets into the source, as V8 counts them. */
  readonly taken: number;
  readonly outOf?: number;
  /** From 1. */
  readonly line: number;
  readonly kind: string;
}
/** What V8 says of one module: how often each range of each function ran; the innermost range counts. */
export interface ScriptCounts {
  readonly functions: readonly {
    readonly ranges: readonly {
      readonly startOffset: number;
      readonly endOffset: number;
      readonly count: number;
    }[];
  }[];
}

/**
 * Every branch of a TypeScript module, in order of place: functions, both ways of an `if` (also without `else`) and of `?:`, the right side
 * of `&&`, `||` and `??` run and not run, bodies of loops, cases of a switch, `catch`. The list is read from the source, so
 * that it is the same whatever ran.
 */
export function branchesOf(source: string): readonly Branch[] {
  const { tree } = parseModule(source);
  const found: Branch[] = [];
  const uncounted = new Set<Syntax>();
  visit(tree, (node) => {
    // V8 counts the body of a loop, not how often its condition is asked.
    if (/^(For|While)Statement$/.test(node.type) && isSyntax(node["test"]))
      visit(node["test"], (inside) => uncounted.add(inside).size > 0);
    for (const [taken, kind, outOf] of waysOf(node)) {
      if (outOf !== undefined && uncounted.has(node)) continue;
      const line = source.slice(0, node.start).split("\n").length;
      found.push({ taken, line, kind, ...(outOf === undefined ? {} : { outOf }) });
    }
    return true;
  });
  return found;
}

/** How often each branch was gone. */
export function timesTaken(branches: readonly Branch[], { functions }: ScriptCounts): number[] {
  // Functions and blocks lie inside each other and never overlap: the shorter is the inner one.
  const ranges = functions
    .flatMap((one) => one.ranges)
    .sort((a, b) => a.endOffset - a.startOffset - (b.endOffset - b.startOffset));
  const at = (offset: number) =>
    ranges.find(({ startOffset, endOffset }) => startOffset <= offset && offset < endOffset)?.count ?? 0;
  return branches.map(({ taken, outOf }) =>
    outOf === undefined ? at(taken) : Math.max(0, at(outOf) - at(taken)),
  );
}

type Way = readonly [taken: number, kind: string, outOf?: number];

function waysOf(node: Syntax): readonly Way[] {
  const start = (field: string): number => (node[field] as Syntax).start;
  switch (node.type) {
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ArrowFunctionExpression":
      return [[start("body"), "function"]];
    case "IfStatement":
      return [
        [start("consequent"), "if"],
        isSyntax(node["alternate"])
          ? [start("alternate"), "else"]
          : [start("consequent"), "no else", node.start],
      ];
    case "ConditionalExpression":
      return [
        [start("consequent"), "?"],
        [start("alternate"), ":"],
      ];
    case "LogicalExpression":
      return [
        [start("right"), `right of ${node["operator"]}`],
        [start("right"), `left of ${node["operator"]} decides`, node.start],
      ];
    case "ForStatement":
    case "ForInStatement":
    case "ForOfStatement":
    case "WhileStatement":
      return [[start("body"), "loop"]];
    case "SwitchCase":
      return (node["consequent"] as unknown[]).length > 0 ? [[node.start, "case"]] : [];
    case "CatchClause":
      return [[start("body"), "catch"]];
    default:
      return [];
  }
}
