import type { Cancel } from "../lib/cancel.ts";
import { clean } from "../lib/clean.ts";
import type { Prompt } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";

type Terminal<Stream> = Stream & { readonly isTTY?: boolean };

/** Asks on a terminal; undefined when either stream is none. What is asked may quote foreign text. */
export function terminalPrompt(
  input: Terminal<NodeJS.ReadableStream>,
  output: Terminal<NodeJS.WritableStream>,
): Prompt | undefined {
  if (input.isTTY !== true || output.isTTY !== true) return undefined;
  return { ask: (question, how) => ask(input, output, question, how) };
}

async function ask(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  question: string,
  { signal }: Cancel,
): Promise<string> {
  const { createInterface } = await import("node:readline/promises");
  const lines = createInterface({ input, output });
  const left = new AbortController();
  const leave = () => left.abort(new DropsError("interrupted", "interrupted at a question"));
  lines.on("SIGINT", leave); // readline takes Ctrl-C for itself
  lines.on("close", leave); // and Ctrl-D closes it without an answer
  try {
    const answer = await lines.question(clean(question), { signal: AbortSignal.any([signal, left.signal]) });
    return answer.trim();
  } catch (error) {
    signal.throwIfAborted();
    left.signal.throwIfAborted();
    throw error;
  } finally {
    lines.off("close", leave);
    lines.close();
  }
}
