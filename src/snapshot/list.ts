import { DropsError } from "../lib/errors.ts";
import type { PackInfo } from "../pack/pack-table.ts";

/** A list names at most this many packs (32 TiB of them). */
const MAX_PACKS = 1_000_000;
export const MAX_LIST = MAX_PACKS * 220;

const TITLE =
  "# drops list v1: the packs that one manifest needs, in the manifest's order; check with sha256sum -c";

/**
 * The packs that one manifest needs, as `sha256sum -c` reads it from the policy's folder; the size of each stands in a
 * comment before it. A manifest's pack numbers count these lines.
 */
export function encodeList(packs: readonly PackInfo[]): Buffer {
  const lines = packs.map(
    ({ sha256, size }) => `# ${size}\n${sha256}  packs/${sha256.slice(0, 2)}/${sha256}\n`,
  );
  return Buffer.from(`${TITLE}\n${lines.join("")}`);
}

/** The lines of one pack. */
const PACK = /^# (0|[1-9]\d{0,11})\n(([0-9a-f]{2})[0-9a-f]{62}) {2}packs\/\3\/\2$/;

/** Throws data/damaged when a byte is not as `encodeList` writes it. */
export function decodeList(bytes: Uint8Array, name: string): PackInfo[] {
  const lines = Buffer.from(bytes).toString("latin1").split("\n");
  if (lines[0] !== TITLE || lines.at(-1) !== "") throw malformed(name, 1);
  if ((lines.length - 2) / 2 > MAX_PACKS)
    throw new DropsError("data/damaged", `list ${name} names over ${MAX_PACKS} packs`);
  const packs: PackInfo[] = [];
  for (let at = 1; at < lines.length - 1; at += 2) {
    const pack = PACK.exec(`${lines[at]}\n${lines[at + 1]}`);
    if (!pack) throw malformed(name, at + 1);
    const [, size, sha256 = ""] = pack;
    packs.push({ sha256, size: Number(size) });
  }
  return packs;
}

function malformed(name: string, line: number): DropsError {
  return new DropsError("data/damaged", `list ${name} is malformed at line ${line}`);
}
