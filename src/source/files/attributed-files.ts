import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { FilesPolicy } from "../../policy/schema.ts";
import { Few } from "./few.ts";
import { findArguments } from "./find.ts";
import { PLAIN } from "./gnu-tools.ts";

/** More are not counted. */
const MOST = 1000;
/** Two opened files a millisecond: longer than a listing, and nobody waits for more. */
const WITHIN_MS = 120_000;

const SCRIPT =
  'command -v lsattr >/dev/null || exit 0; "$@" 2>/dev/null | xargs -0 -r lsattr -d 2>/dev/null | ' +
  `sed -n 's/^[^ ]*[ia][^ ]* //p' | head -n ${MOST}`;

/**
 * Of a source as `findFiles` resolved it, what `chattr` made immutable or append-only, which no manifest holds; nothing where the host has no lsattr.
 *
 * @throws DropsError host/command-failed when it takes more than two minutes
 */
export async function attributedFiles(host: Host, source: FilesPolicy, how: Cancel): Promise<Few> {
  if (source.paths.length === 0) return new Few();
  const then = ["(", "-type", "f", "-o", "-type", "d", ")", "-print0"];
  const argv = ["sh", "-c", SCRIPT, "drops-lsattr", "find", ...findArguments(source, then)];
  const { stdout } = await host.run(argv, { ...how, env: PLAIN, within: WITHIN_MS });
  const found = new Few();
  for (const line of stdout.toString("latin1").split("\n"))
    if (line.startsWith("/")) found.add(Buffer.from(line.slice(1), "latin1"));
  return found;
}
