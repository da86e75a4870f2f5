import { DropsError } from "../../lib/errors.ts";
import { MOST_LINE } from "../../lib/limits.ts";

/** The lines of a script's output, one at a time; undefined when it has ended. Throws host/command-failed for one without end. */
export interface Lines {
  next(): Promise<string | undefined>;
}

/** Split at line feeds alone: what is read here may hold other characters that end a line elsewhere. */
export function linesOf(stream: AsyncIterable<Uint8Array>): Lines {
  const lines = split(stream);
  return {
    next: async () => {
      const line = await lines.next();
      return line.done ? undefined : line.value;
    },
  };
}

async function* split(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const pieces = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = pieces.pop() ?? "";
    if (rest.length > MOST_LINE)
      throw new DropsError(
        "host/command-failed",
        `a script printed a line of more than ${MOST_LINE} characters`,
      );
    yield* pieces;
  }
}
