import { readFile } from "node:fs/promises";

/** How many branches of each room no test takes, as the table of docs/coverage.md says: a line is `| room | all | without a test |`. */
export async function quotedRooms(): Promise<ReadonlyMap<string, number>> {
  const text = await readFile(new URL("../../docs/coverage.md", import.meta.url), "utf8");
  const lines = text.matchAll(/^\| `?([a-z]+)`? \| (\d+) \| (\d+) \|$/gm);
  return new Map([...lines].map(([, room = "", , missing]) => [room, Number(missing)]));
}
