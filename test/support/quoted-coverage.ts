import { readFile } from "node:fs/promises";

/** What the table of docs/coverage.md says of each room: how many branches it has, and how many no test takes. */
export async function quotedRooms(): Promise<
  ReadonlyMap<string, { readonly total: number; readonly missing: number }>
> {
  const text = await readFile(new URL("../../docs/coverage.md", import.meta.url), "utf8");
  const lines = text.matchAll(/^\| ([a-z]+) \| (\d+) \| (\d+) \|$/gm);
  return new Map(
    [...lines].map(([, room = "", total, missing]) => [
      room,
      { total: Number(total), missing: Number(missing) },
    ]),
  );
}
