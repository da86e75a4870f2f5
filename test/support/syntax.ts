import { stripTypeScriptTypes } from "node:module";
import { type Node, parse } from "acorn";

/** A node of a syntax tree whose fields are looked at by name. */
export type Syntax = Node & Readonly<Record<string, unknown>>;

/** The syntax tree of a TypeScript module and its text with white space for types: places stay those of the source. */
export function parseModule(source: string): { readonly tree: Syntax; readonly plain: string } {
  const plain = stripTypeScriptTypes(source);
  return { plain, tree: parse(plain, { ecmaVersion: "latest", sourceType: "module" }) as unknown as Syntax };
}

/** Calls `each` for a node and all below it, outer ones first; not for what is below a node for which it says `false`. */
export function visit(node: Syntax, each: (node: Syntax) => boolean): void {
  if (!each(node)) return;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isSyntax(child)) visit(child, each);
  }
}

export function isSyntax(value: unknown): value is Syntax {
  return (
    typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string"
  );
}
