import { stripVTControlCharacters } from "node:util";
import type { Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";

const LINES = 15;
const LONGEST = 300;
/** Control characters, and what turns the direction of writing around. */
const UNSAFE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu;

/** The last lines of a unit in the host's journal, bounded and safe to show; none when there is no journal. */
export async function lastLines(host: Host, unit: string, how: Cancel): Promise<readonly string[]> {
  const argv = ["journalctl", "--no-pager", "--quiet", "--output=cat", `--lines=${LINES}`, `--unit=${unit}`];
  const { stdout } = await host.run(argv, { ...how, okExits: ANY_EXIT, maxStdout: 4 * 1024 * 1024 });
  return stdout
    .toString("utf8")
    .split("\n")
    .map((line) => stripVTControlCharacters(line).replace(UNSAFE, " ").trimEnd().slice(0, LONGEST))
    .filter((line) => line !== "")
    .slice(-LINES);
}
