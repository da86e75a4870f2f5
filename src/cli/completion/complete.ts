import type { Argument, Command, Option } from "commander";
import { lineage, optionNamed, walk } from "./walk.ts";

/** What completes a word: names that a policy or its store knows are asked for later, and only when needed. */
export type Wanted =
  | { readonly kind: "words"; readonly words: readonly CompletionCandidate[] }
  | { readonly kind: "policies" | "sources" | "snapshots" | "dates" | "files" | "nothing" };

export interface CompletionCandidate {
  readonly word: string;
  /** Shown beside it by shells that can. */
  readonly about: string;
}

export interface Completion {
  readonly wanted: Wanted;
  /** The word to complete; candidates that begin otherwise are left out. */
  readonly begun: string;
  /** Stands before every candidate: `--policy=` where the shell sees one word. */
  readonly before: string;
  /** Values of options that were given already, by their long names: `--policy`, `--store`. */
  readonly given: ReadonlyMap<string, string>;
}

/** What the last of `words` may become. `words` are those after `drops`, as the shell split them. Pure. */
export function complete(program: Command, words: readonly string[]): Completion {
  const joined = joinEquals(words);
  const begun = joined.at(-1) ?? "";
  const { command, position, pending, given, onlyArguments } = walk(program, joined.slice(0, -1));
  const answer = (wanted: Wanted, part: string, before = ""): Completion => ({
    wanted,
    begun: part,
    before,
    given,
  });
  if (pending) return answer(valueFor(pending), begun);
  const equals = /^(--[a-z-]+)=(.*)$/s.exec(begun);
  if (equals?.[1] !== undefined && !onlyArguments) {
    const option = optionNamed(command, equals[1]);
    // bash takes "=" for a word of its own, and replaces what stands after it alone
    const before = words.at(-1) === begun ? `${equals[1]}=` : "";
    return answer(
      option && takesValue(option) ? valueFor(option) : { kind: "nothing" },
      equals[2] ?? "",
      before,
    );
  }
  if (begun.startsWith("-") && !onlyArguments) return answer(optionsOf(command), begun);
  return answer(argumentOf(command, position), begun);
}

/** `--date`, `=`, `lat` as one word, however the shell cut it. */
function joinEquals(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const [index, word] of words.entries()) {
    const last = joined.at(-1);
    const goesOn = word === "=" || (words[index - 1] === "=" && index > 1);
    if (goesOn && last?.startsWith("--")) joined[joined.length - 1] = last + word;
    else joined.push(word);
  }
  return joined;
}

const takesValue = (option: Option): boolean => option.required || option.optional;

function optionsOf(command: Command): Wanted {
  const all = lineage(command).flatMap((each) => each.options.filter(({ hidden }) => !hidden));
  const words = all.map(({ long, short, description }) => ({
    word: long ?? short ?? "",
    about: description,
  }));
  return { kind: "words", words: [...words, { word: "--help", about: "show help" }] };
}

/** By the name of the option, which means the same wherever it stands. */
function valueFor(option: Option): Wanted {
  if (option.argChoices) return choices(option.argChoices);
  if (option.long === "--policy") return { kind: "policies" };
  if (option.long === "--date") return { kind: "dates" };
  if (option.long === "--snapshot") return { kind: "snapshots" };
  if (option.long === "--source" || option.long === "--only") return { kind: "sources" };
  const placeholder = /[<[]([^>\]]+)/.exec(option.flags)?.[1] ?? "";
  return { kind: /file|dir|key|url/.test(placeholder) ? "files" : "nothing" };
}

function argumentOf(command: Command, position: number): Wanted {
  const names = command.commands.filter((each) => !isHidden(each));
  if (names.length > 0 && position === 0) {
    return {
      kind: "words",
      words: names.map((each) => ({ word: each.name(), about: each.description() })),
    };
  }
  const argument: Argument | undefined = command.registeredArguments[position];
  if (argument?.argChoices) return choices(argument.argChoices);
  if (argument?.name() === "snapshot") return { kind: "dates" };
  return { kind: argument?.name() === "source" ? "sources" : "nothing" };
}

function choices(words: readonly string[]): Wanted {
  return { kind: "words", words: words.map((word) => ({ word, about: "" })) };
}

/** commander keeps what help leaves out to itself, so it is asked for its help. */
function isHidden(command: Command): boolean {
  const parent = command.parent;
  return parent !== null && !parent.createHelp().visibleCommands(parent).includes(command);
}
