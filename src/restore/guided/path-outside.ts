import { inBytes } from "../../lib/units.ts";
import { Few } from "../../source/files/few.ts";
import type { Listing } from "../../source/files/listing.ts";
import type { Outside, TreeEntry } from "../../source/scope.ts";
import type { PartScope } from "./path-scope.ts";

/** Beside the old, the new is reached by a name that is as long. Bytes. */
const LONGEST_MOVED = 3500;

export const ONLY_HINT = "move it to its place, or remove it if nobody needs it, then drops restore --finish";

/** What there is in the old of a part that no source takes: a swap does not replace it, and finish must not remove it. */
export class OutsideOfPart {
  readonly #found: readonly Outside[];
  readonly #long: Few;

  /** @param listing sorted; paths begin at the part */
  constructor(scope: PartScope, listing: Listing, long: Few) {
    this.#found = scope.outside(entriesOf(listing));
    this.#long = long;
  }

  /** Raw paths that a swap can move on. */
  movable(): readonly string[] {
    return this.#found.map(({ path }) => path).filter((path) => path.length <= LONGEST_MOVED);
  }

  /** What it is, in words; undefined when there is nothing. */
  words(): string | undefined {
    if (this.#found.length + this.#long.count === 0) return undefined;
    const few = new Few();
    for (const { path } of this.#found) few.add(Buffer.from(path, "latin1"));
    const bytes = this.#found.reduce((sum, each) => sum + each.bytes, 0);
    const all = [
      ...(few.count > 0 ? [`${few} (${inBytes(bytes)})`] : []),
      ...(this.#long.count > 0 ? [`paths that are too long: ${this.#long}`] : []),
    ];
    return `holds what is in no source and nowhere else: ${all.join("; ")}`;
  }
}

function* entriesOf(listing: Listing): Generator<TreeEntry> {
  for (let at = 0; at < listing.length; at++) {
    const kind = listing.kind(at);
    const bytes = kind === "f" ? listing.size(at) : 0;
    yield { path: listing.path(at).toString("latin1"), isDirectory: kind === "d", bytes };
  }
}
