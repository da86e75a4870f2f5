import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";

// The layers of docs/architecture.md, top first. A file may import from its own row and the rows below it. Between
// folders of one row only what is listed in `SIDEWAYS` is allowed.
const LAYERS: readonly (readonly string[])[] = [
  ["main.ts"],
  ["app"],
  ["cli"],
  [
    "backup",
    "restore",
    "guided",
    "paper",
    "verify",
    "drill",
    "retention",
    "status",
    "doctor",
    "notify",
    "setup",
  ],
  ["source"],
  ["snapshot", "trust"],
  ["pack", "chunk", "seal"],
  ["host", "store"],
  ["page"],
  ["policy"],
  ["lib"],
];
const SIDEWAYS = new Set([
  "pack>chunk",
  "snapshot>trust",
  "pack>seal",
  "guided>restore",
  "paper>guided",
  "paper>backup",
  "paper>restore",
  "retention>backup",
  "retention>drill",
  "drill>guided",
  "doctor>guided",
  "verify>restore",
  "drill>restore",
  "status>drill",
  "status>verify",
  "status>restore",
  "status>notify",
  "setup>doctor",
  "setup>backup",
  "doctor>status",
  "doctor>restore",
]);
/** Who may know the process, its environment and the wall clock's machine. */
const MEETS_PROCESS = ["main.ts", "app", "cli"];
/** The one place that starts processes: it hands on a part of our environment, and all that is not here. */
const STARTS_PROCESSES = "host/start-process.ts";
/** Programs of their own, started by drops as other processes: their process is theirs to meet. */
const PROGRAMS = ["drill/rocksdb-library.ts", "drill/sqlite-library.ts"];

const root = new URL("../", import.meta.url).pathname;
const src = join(root, "src");

interface Source {
  /** Relative to src. */
  readonly path: string;
  readonly text: string;
  /** Those of types too. */
  readonly imports: readonly string[];
}

const sources: readonly Source[] = filesUnder(src)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => {
    const text = readFileSync(file, "utf8");
    return { path: relative(src, file), text, imports: importsOf(text, file) };
  });

/** app/ is the composition root. */
const folderOf = (path: string): string => path.split("/")[0] ?? "";
const rowOf = (folder: string): number => LAYERS.findIndex((row) => row.includes(folder));

test("the reader of imports sees every form", () => {
  const text = [
    'import a from "./a.ts";',
    'import type { B } from "./b.ts";',
    'import {\n  c,\n  type D,\n} from "../c.ts";',
    'export { e } from "./e.ts";',
    'const f = await import("./f.ts");',
    'import "./g.ts";',
    'import type { H } from "zod";',
    'new Worker(new URL("./i.ts", import.meta.url));',
  ].join("\n");
  assert.deepEqual(importsOf(text, join(src, "cli", "x.ts")), [
    "cli/a.ts",
    "cli/b.ts",
    "c.ts",
    "cli/e.ts",
    "cli/f.ts",
    "cli/g.ts",
    "cli/i.ts",
  ]);
});

test("every file of src is in a folder of the layer table", () => {
  assert.ok(sources.length > 20, "the sources were found");
  const strangers = sources.map(({ path }) => path).filter((path) => rowOf(folderOf(path)) < 0);
  assert.deepEqual(strangers, []);
});

test("imports point down", () => {
  const rules = ["store>lib", "lib>store", "backup>restore", "pack>seal", "seal>pack", "app>cli", "cli>app"];
  const allowed = rules.filter((rule) => mayImport(rule.split(">")[0] ?? "", rule.split(">")[1] ?? ""));
  assert.deepEqual(allowed, ["store>lib", "pack>seal", "app>cli"]);
  const upward = sources.flatMap(({ path, imports }) =>
    imports.filter((to) => !mayImport(folderOf(path), folderOf(to))).map((to) => `${path} imports ${to}`),
  );
  assert.deepEqual(upward, []);
});

test("no import cycles", () => {
  assert.deepEqual(
    findCycle(
      new Map([
        ["a", ["b"]],
        ["b", ["c"]],
        ["c", ["b"]],
      ]),
    ),
    ["b", "c", "b"],
  );
  assert.equal(findCycle(new Map(sources.map(({ path, imports }) => [path, imports]))), undefined);
});

test("no type name is exported by two files", () => {
  const homes = new Map<string, string[]>();
  for (const { path, text } of sources)
    for (const [, name = ""] of text.matchAll(/^export (?:interface|type|class) (\w+)/gm))
      homes.set(name, [...(homes.get(name) ?? []), path]);
  assert.ok(homes.has("DropsError"), "declarations are found");
  assert.deepEqual(
    [...homes].filter(([, paths]) => new Set(paths).size > 1),
    [],
  );
});

test("only main, app and cli meet the process", () => {
  const wrong = sources
    .filter(({ path }) => !MEETS_PROCESS.includes(folderOf(path)))
    .filter(({ path }) => ![...PROGRAMS, STARTS_PROCESSES].includes(path))
    .filter(({ text }) =>
      /\bprocess\.(env|argv|exit|exitCode|stdout|stderr|on)\b/.test(withoutComments(text)),
    );
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test("only the screen writes to standard output and standard error", () => {
  const wrong = sources
    .filter(({ path }) => path !== "cli/screen.ts" && path !== "main.ts" && !PROGRAMS.includes(path))
    .filter(({ text }) => /\bconsole\.\w+\(|process\.(stdout|stderr)/.test(withoutComments(text)));
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test("one file starts processes, and one reads YAML: each leaves out what nobody else shall see", () => {
  const users = (form: RegExp) => sources.filter(({ text }) => form.test(text)).map(({ path }) => path);
  assert.deepEqual(users(/^(?!import type ).*["'](?:node:)?(?:child_process|cluster)["']/m), [
    STARTS_PROCESSES,
  ]);
  assert.deepEqual(users(/\b(?:parse|parseDocument|parseAllDocuments)\b[^;]*\} from "yaml"/), [
    "lib/yaml.ts",
  ]);
});

test("no default exports, barrels, enums or any", () => {
  const shapes: readonly [string, RegExp][] = [
    ["default export", /^export default\b/m],
    ["star export", /^export \* from\b/m],
    ["enum", /^\s*(export )?(const )?enum\b/m],
    ["any", /[:<|&,] *any\b(?! of)|\bas any\b/],
  ];
  const found = sources.flatMap(({ path, text }) => {
    const code = withoutStrings(withoutComments(text));
    return shapes.filter(([, shape]) => shape.test(code)).map(([name]) => `${path}: ${name}`);
  });
  assert.deepEqual(found, []);
});

test("no date-fns as a whole: one function at a time", () => {
  const whole = sources.filter(({ text }) => /from "date-fns"/.test(text)).map(({ path }) => path);
  assert.deepEqual(whole, []);
});

test("what is about one server stays in policies/", () => {
  const folders = ["src", "test", "scripts", "schemas"].map((folder) => join(root, folder));
  const texts = folders
    .flatMap(filesUnder)
    .filter((file) => /\.(ts|sh|json|nix|yaml|txt)$|\/[a-z-]+$/.test(file));
  const self = new URL(import.meta.url).pathname;
  const allowed = new Set([self, join(root, "test", "policy.test.ts")]);
  const private_ = ["/work" + "/", "../shar" + "ed", "jrz1@", "root@ops-jrz1", "/home/", "/Users/"];
  const found = texts
    .filter((file) => !allowed.has(file))
    .flatMap((file) => {
      const text = readFileSync(file, "utf8");
      return private_.filter((word) => text.includes(word)).map((word) => `${relative(root, file)}: ${word}`);
    });
  assert.deepEqual(found, []);
});

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  const [above, below] = [rowOf(from), rowOf(to)];
  if (from === "app" && to === "cli") return true; // it implements the types that cli declares
  if (from === "main.ts" || above < below) return true;
  return above === below && SIDEWAYS.has(`${from}>${to}`);
}

/** Relative imports, as paths relative to src. */
function importsOf(text: string, file: string): Source["imports"] {
  const code = withoutComments(text);
  const forms =
    /(?:^|\n)\s*(?:import|export)\s[^"';]*?from\s*"(\.[^"]+)"|(?:^|\n)\s*import\s*"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"\s*\)|new URL\("(\.[^"]+\.ts)"/g;
  return [...code.matchAll(forms)].map((match) => {
    const target = match.slice(1).find((each) => each !== undefined) ?? "";
    return relative(src, normalize(join(dirname(file), target)));
  });
}

function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>();
  const walk = (node: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (finished.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = walk(next, [...trail, node]);
      if (cycle) return cycle;
    }
    finished.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = walk(node, []);
    if (cycle) return cycle;
  }
  return undefined;
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}

function withoutStrings(text: string): string {
  return text.replaceAll(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, '""');
}

function filesUnder(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
