import type { Command, Option } from "commander";

/** Where on the command line the word stands that is to be completed. */
export interface Place {
  readonly command: Command;
  /** How many arguments of the command were given before. */
  readonly position: number;
  /** The option whose value comes next. */
  readonly pending: Option | undefined;
  /** Values of options that were given, by their long names. */
  readonly given: ReadonlyMap<string, string>;
  /** Behind `--`. */
  readonly onlyArguments: boolean;
}

/** Read the words before the one to complete, as commander would. Pure; what makes no sense is passed over. */
export function walk(program: Command, words: readonly string[]): Place {
  const start: Place = {
    command: program,
    position: 0,
    pending: undefined,
    given: new Map(),
    onlyArguments: false,
  };
  return words.reduce(step, start);
}

export function lineage(command: Command): Command[] {
  return command.parent ? [command, ...lineage(command.parent)] : [command];
}

/** Of the command, or of one above it. */
export function optionNamed(command: Command, name: string): Option | undefined {
  return lineage(command)
    .flatMap(({ options }) => options)
    .find(({ long, short }) => long === name || short === name);
}

function step(place: Place, word: string): Place {
  const { pending, command, onlyArguments } = place;
  if (pending) return { ...place, pending: undefined, given: withValue(place, pending.long, word) };
  if (onlyArguments) return { ...place, position: place.position + 1 };
  if (word === "--") return { ...place, onlyArguments: true };
  if (word.startsWith("-")) return stepOption(place, word);
  const next = command.commands.find((each) => each.name() === word);
  return next ? { ...place, command: next } : { ...place, position: place.position + 1 };
}

function stepOption(place: Place, word: string): Place {
  const [name = "", value] = word.split(/=(.*)/s);
  const option = optionNamed(place.command, name);
  if (value !== undefined) return { ...place, given: withValue(place, option?.long, value) };
  return { ...place, pending: option?.required ? option : undefined };
}

function withValue({ given }: Place, name: string | undefined, value: string): Place["given"] {
  return name === undefined ? given : new Map([...given, [name, value]]);
}
