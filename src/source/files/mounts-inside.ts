import type { Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { PLAIN } from "./gnu-tools.ts";
import type { FileListing } from "./listing.ts";
import { shownHostPath } from "./shown-path.ts";

/** A directory that is listed and on which another file system is mounted, which is not. */
export interface MountInside {
  readonly path: string;
  /** As the kernel names it: ext4, btrfs, nfs4. */
  readonly kind: string;
}

/** More are not asked about. */
const MOST = 200;
/** Of the kernel itself: nobody's data. */
const OF_THE_KERNEL = new Set([
  ...["proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "bpf"],
  ...["pstore", "configfs", "mqueue", "hugetlbfs", "autofs", "fusectl", "efivarfs", "binfmt_misc"],
  ...["rpc_pipefs", "nfsd", "nsfs", "selinuxfs"],
]);

/**
 * Where a listing ends at another file system, below the paths that it began at. (A subvolume of btrfs is one to find.)
 *
 * @param starts absolute paths
 */
export async function mountsInside(
  host: Host,
  listing: FileListing,
  starts: readonly string[],
  how: Cancel,
): Promise<readonly MountInside[]> {
  if (listing.isOfOneDevice && !starts.includes("/")) return [];
  const found = otherDevices(listing, starts, await deviceOfRoot(host, how));
  if (found.length === 0) return [];
  const argv = ["find", "-P", ...found.slice(0, MOST), "-maxdepth", "0", "-printf", "%F %p\\0"];
  const { stdout } = await host.run(argv, { ...how, env: PLAIN, okExits: ANY_EXIT });
  return stdout
    .toString()
    .split("\0")
    .map((line) => ({ kind: line.slice(0, line.indexOf(" ")), path: line.slice(line.indexOf(" ") + 1) }))
    .filter(({ kind, path }) => path !== "" && !OF_THE_KERNEL.has(kind))
    .map(({ kind, path }) => ({ kind, path: shownHostPath(Buffer.from(path.slice(1))) }));
}

/** Directories on another device than the path is on that the listing came to them from. */
function otherDevices(listing: FileListing, starts: readonly string[], ofRoot: string): string[] {
  const devices = new Map<string, string>();
  if (starts.includes("/")) devices.set("", ofRoot);
  const directories: { readonly path: string; readonly device: string }[] = [];
  const isStart = new Set(starts.map((path) => path.slice(1)));
  for (let position = 0; position < listing.length; position++) {
    if (listing.kind(position) !== "d") continue;
    const path = listing.path(position).toString();
    const device = listing.device(position);
    if (isStart.has(path)) devices.set(path, device);
    else directories.push({ path, device });
  }
  const isApart = ({ path, device }: { readonly path: string; readonly device: string }) =>
    [...devices].some(([start]) => isBelow(path, start)) &&
    [...devices].every(([start, its]) => its !== device || !isBelow(path, start));
  return directories.filter(isApart).map(({ path }) => `/${path}`);
}

/** The root itself is in no listing. */
async function deviceOfRoot(host: Host, how: Cancel): Promise<string> {
  const { stdout } = await host.run(["find", "/", "-maxdepth", "0", "-printf", "%D"], { ...how, env: PLAIN });
  return stdout.toString();
}

function isBelow(path: string, start: string): boolean {
  return start === "" || path.startsWith(`${start}/`);
}
