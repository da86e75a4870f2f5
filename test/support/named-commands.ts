import type { Command } from "commander";
import { lineage, optionNamed, type Place, walk } from "../../src/cli/completion/walk.ts";
import { someProgram } from "./every-command.ts";

/** At the start, or behind what may stand before a command. */
const COMMAND = /^\s*(?:(?:\$|sudo|exec|env|[A-Z_]+=\S*) +)*(?:\S*\/)?drops\s+(.+)$/;

/** Command lines of drops in a text of code: lines that go on behind a backslash are one. */
export function commandLinesIn(code: string): string[] {
  return code
    .replaceAll(/\\\n\s*/g, " ")
    .split("\n")
    .flatMap((line) =>
      line
        .split(/&&|\|\|?|;|\$\(|<\(|`/)
        .map((part) => COMMAND.exec(part)?.[1])
        .filter((found) => found !== undefined),
    );
}

/** Code in a Markdown text: what stands between fences, and between backticks. */
export function codeIn(markdown: string): string[] {
  const fences = [...markdown.matchAll(/^ *```.*\n([\s\S]*?)^ *```/gm)].map(([, code = ""]) => code);
  const spans = [...markdown.replaceAll(/^ *```.*\n[\s\S]*?^ *```/gm, "").matchAll(/`([^`]+)`/g)];
  return [...fences, ...spans.map(([, code = ""]) => code)];
}

/** What a command line names that drops does not have: `no command drops bakcup`, `drops backup has no --fast`. */
export function strangersIn(line: string): string[] {
  const words = line
    .replace(/\s(#|>|2>|<).*$/, "")
    .split(/\s+/)
    .map((word) => word.replaceAll(/^[[('"]+|[\])'",.:…]+$/g, ""))
    .filter((word) => word !== "");
  const program = someProgram();
  return words.flatMap((word, at) => strangeness(word, walk(program, words.slice(0, at))));
}

function strangeness(word: string, { command, pending, position }: Place): string[] {
  const isLost = command.commands.length > 0 && position > 0; // behind a command that there is not
  if (pending || isLost) return [];
  if (word.startsWith("-")) {
    const known = ["--help", "-h", "--"].includes(word) || optionNamed(command, word.split("=")[0] ?? "");
    return known ? [] : [`${pathOf(command)} has no ${word}`];
  }
  const isCommand = command.commands.some((each) => each.name() === word);
  const wantsOne = command.commands.length > 0 && /^[a-z]/.test(word);
  return wantsOne && !isCommand ? [`no command ${pathOf(command)} ${word}`] : [];
}

function pathOf(command: Command): string {
  return lineage(command)
    .map((each) => each.name())
    .reverse()
    .join(" ");
}
