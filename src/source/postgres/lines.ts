/** The lines of a stream, one at a time; undefined when it has ended. */
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
    yield* pieces;
  }
}
