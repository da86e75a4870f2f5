import type { Command } from "commander";
import { clean } from "../../lib/clean.ts";
import { POLICY_DIRS, policyNames } from "../../policy/find.ts";
import type { Shell } from "../shell.ts";
import { type Completion, type CompletionCandidate, complete } from "./complete.ts";

/** How long somebody who pressed a key waits for a store. */
const PATIENCE_MS = 3000;

const DATES: readonly CompletionCandidate[] = [
  { word: "latest", about: "the newest complete snapshot" },
  { word: "yesterday", about: "the newest one of yesterday" },
];

/**
 * The answer to a completion script: `files` when the shell completes names of files itself, else `words` and a line
 * per candidate, word, tab and description. Never throws: what cannot be found out is not offered.
 */
export async function completed(
  program: Command,
  words: readonly string[],
  shell: Shell,
): Promise<readonly string[]> {
  const completion = complete(program, words);
  const { wanted, begun, before } = completion;
  if (wanted.kind === "files") return ["files"];
  const found = await candidates(completion, shell).catch((): CompletionCandidate[] => []);
  // a policy may be named by its file, too
  if (wanted.kind === "policies" && (/[/.]/.test(begun) || found.length === 0)) return ["files"];
  const fitting = found.filter(({ word }) => word.startsWith(begun));
  return ["words", ...fitting.map(({ word, about }) => `${before}${clean(word)}\t${oneLine(about)}`)];
}

async function candidates(
  { wanted, given }: Completion,
  shell: Shell,
): Promise<readonly CompletionCandidate[]> {
  switch (wanted.kind) {
    case "words":
      return wanted.words;
    case "policies":
      return (await policyNames(POLICY_DIRS)).map((word) => ({ word, about: "policy" }));
    case "sources":
      return sources(given, shell);
    case "snapshots":
      return snapshots(given, shell, "all");
    case "dates":
      return [...DATES, ...(await snapshots(given, shell, "eligible").catch(() => []))];
    default:
      return [];
  }
}

async function sources(given: Completion["given"], shell: Shell): Promise<CompletionCandidate[]> {
  const { findPolicy } = await import("../../policy/find.ts");
  const { loadPolicy } = await import("../../policy/load.ts");
  const places = { fromEnv: shell.context.env["DROPS_POLICY"], dirs: POLICY_DIRS };
  const { policy } = await loadPolicy(await findPolicy(given.get("--policy"), places));
  return policy.sources.map(({ name, kind }) => ({ word: name, about: kind }));
}

/** Two listings, no record is read: newest first, then those that no date takes, when all are wanted. */
async function snapshots(
  given: Completion["given"],
  shell: Shell,
  which: "eligible" | "all",
): Promise<CompletionCandidate[]> {
  const { recallSnapshots } = await shell.app();
  const access = { policy: given.get("--policy"), store: given.get("--store") };
  const signal = AbortSignal.any([shell.signal, AbortSignal.timeout(PATIENCE_MS)]);
  const found = await recallSnapshots({ ...access, signal }, shell.context);
  const eligible = found.filter(({ isHeld }) => !isHeld);
  const held = which === "all" ? found.filter(({ isHeld }) => isHeld) : [];
  return [
    ...eligible.map(({ id, ended }) => ({ word: id, about: ended })),
    ...held.map(({ id, ended }) => ({ word: id, about: `${ended}, held back` })),
  ];
}

/** Descriptions are one line of ours; what stands in a name is not. */
function oneLine(text: string): string {
  return clean(text.replaceAll(/\s+/g, " "));
}
