import { openLocalHost } from "../../src/host/local.ts";
import { PackPool } from "../../src/pack/pool.ts";
import { type RestoreResult, restoreSnapshot } from "../../src/restore/restore.ts";
import type { OnDamage, RestoreParts } from "../../src/restore/restore-run.ts";
import { readPartsOf, type TinyRepository } from "./tiny-repository.ts";

/** Restore the newest snapshot of a tiny repository; `change` replaces some of the parts. */
export async function restoring(
  tiny: TinyRepository,
  to: string,
  change: Partial<RestoreParts> & {
    readonly choice?: { date: string } | { id: string };
    readonly only?: readonly string[];
    readonly onDamage?: OnDamage;
    readonly signal?: AbortSignal;
  } = {},
): Promise<RestoreResult> {
  const { choice = { date: "latest" }, only = [], onDamage = "refuse", signal, ...parts } = change;
  await using pool = new PackPool(1);
  return await restoreSnapshot(
    { ...readPartsOf(tiny), pool, openHost: openLocalHost, ...parts },
    { choice, only, to, onDamage },
    { signal: signal ?? new AbortController().signal },
  );
}
