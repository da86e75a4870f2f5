import { DropsError } from "../lib/errors.ts";
import { isInTime, type Listed } from "../snapshot/held-back.ts";

/**
 * A store can show an old state of itself, signatures and all: whoever knows the id of a snapshot that was made can ask
 * for it. It is there, or a believed record that is there has seen it (a prune may have forgotten it since): one that landed when
 * it says, since no other is taken by its date.
 *
 * @param head the id of a snapshot that was made, or the first 8 digits of it or more
 * @throws DropsError safety/refused when nothing that is believed knows of it
 */
export function expectHead(
  head: string,
  { snapshots, repository }: Pick<Listed, "snapshots" | "repository">,
  store: string,
): void {
  const believed = snapshots.filter(({ signer }) => signer !== undefined);
  const inTime = believed.filter((one) => isInTime(one, repository));
  const isHead = ({ id }: { readonly id: string }) => id.startsWith(head);
  if (believed.some(({ record }) => isHead(record))) return;
  if (inTime.some(({ record }) => record.seen.some(isHead))) return;
  const newest = inTime.at(-1);
  const shown = newest
    ? `the newest there is ${newest.record.id} of ${newest.record.ended}`
    : "none is there";
  throw new DropsError(
    "safety/refused",
    `${store} does not have the expected snapshot ${head} or a later one: ${shown}`,
    {
      hint: "the store was rolled back, or hides snapshots: ask its provider and look for a copy; without --expect-head the store is used as it is",
    },
  );
}
