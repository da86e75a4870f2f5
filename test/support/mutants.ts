import { isSyntax, parseModule, type Syntax, visit } from "./syntax.ts";

/** One small fault in a source text: the characters from `start` to `end` become `text`. */
export interface Mutant {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly kind: string;
}

const OTHER: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "===": "!==",
    "!==": "===",
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "%": "*",
    "&": "|",
    "|": "&",
    "<<": ">>",
    ">>": "<<",
    "&&": "||",
    "||": "&&",
    "??": "&&",
    some: "every",
    every: "some",
    min: "max",
    max: "min",
  }),
);
/** Calls that hand on their receiver when they are taken away. */
const DROPPED = new Set(["filter", "slice", "sort", "toSorted", "reverse", "toReversed", "trim"]);

/**
 * Every single fault of a TypeScript module that the table of operators knows, in order of place: an operator replaced,
 * a condition fixed to true or false, a negation or a call of a chain dropped, a literal flipped, a block emptied. The operators are
 * those of Stryker's list (https://stryker-mutator.io/docs/mutation-testing-elements/supported-mutators) for plain
 * expressions. Texts of messages are left alone: nothing decides by them.
 */
export function mutantsOf(source: string): readonly Mutant[] {
  const { tree, plain } = parseModule(source);
  const found: Mutant[] = [];
  visit(tree, (node) => {
    if (isMessage(node)) return false;
    found.push(...faultsAt(node, plain));
    return true;
  });
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

/** The construction of a failure, and imports. */
function isMessage(node: Syntax): boolean {
  if (node.type === "ImportDeclaration") return true;
  return node.type === "NewExpression" && /Error$|^Rejection$/.test(nameOf(node["callee"]));
}

function nameOf(node: unknown): string {
  return isSyntax(node) && node.type === "Identifier" ? String(node["name"]) : "";
}

function faultsAt(node: Syntax, text: string): Mutant[] {
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression":
      return operator(node, text);
    case "IfStatement":
    case "ConditionalExpression":
      return [fixed(node["test"], "true"), fixed(node["test"], "false")];
    case "WhileStatement":
      return [fixed(node["test"], "false")];
    case "UnaryExpression":
      return node["operator"] === "!" ? [replaced(node, sliceOf(node["argument"], text), "negation")] : [];
    case "UpdateExpression":
      return [
        replaced(
          node,
          text.slice(node.start, node.end).replace(/\+\+|--/, (it) => (it === "++" ? "--" : "++")),
          "update",
        ),
      ];
    case "Literal":
      return literal(node);
    case "BlockStatement":
      return (node["body"] as unknown[]).length > 0 ? [replaced(node, "{}", "block")] : [];
    case "CallExpression":
      return call(node, text);
    default:
      return [];
  }
}

function operator(node: Syntax, text: string): Mutant[] {
  const sign = String(node["operator"]);
  const other = OTHER.get(sign);
  const [left, right] = [node["left"] as Syntax, node["right"] as Syntax];
  if (other === undefined || (sign === "+" && [left, right].some(isText))) return [];
  const at = text.indexOf(sign, left.end);
  // a bare ?? beside && is no JavaScript: both sides get brackets
  if (node.type === "LogicalExpression")
    return [
      replaced(node, `((${sliceOf(left, text)}) ${other} (${sliceOf(right, text)}))`, `${sign} to ${other}`),
    ];
  return [{ start: at, end: at + sign.length, text: other, kind: `${sign} to ${other}` }];
}

function isText(node: Syntax): boolean {
  return node.type === "TemplateLiteral" || (node.type === "Literal" && typeof node["value"] === "string");
}

function literal(node: Syntax): Mutant[] {
  const value = node["value"];
  if (typeof value === "boolean") return [replaced(node, String(!value), "boolean")];
  if (typeof value === "string" && value !== "") return [replaced(node, '""', "string")];
  return [];
}

function call(node: Syntax, text: string): Mutant[] {
  const callee = node["callee"] as Syntax;
  if (callee.type !== "MemberExpression" || callee["computed"] === true) return [];
  const property = callee["property"] as Syntax;
  const name = nameOf(property);
  const other = OTHER.get(name);
  if (other !== undefined)
    return [{ start: property.start, end: property.end, text: other, kind: `${name} to ${other}` }];
  return DROPPED.has(name) ? [replaced(node, sliceOf(callee["object"], text), `no ${name}`)] : [];
}

function fixed(node: unknown, to: string): Mutant {
  return replaced(node as Syntax, to, `condition is ${to}`);
}

function replaced(node: Syntax, text: string, kind: string): Mutant {
  return { start: node.start, end: node.end, text, kind };
}

function sliceOf(node: unknown, text: string): string {
  const { start, end } = node as Syntax;
  return text.slice(start, end);
}
