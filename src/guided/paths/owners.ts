import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { LaidPart } from "./layout.ts";
import type { Ground } from "./places.ts";
import type { PathPart, PathRecord } from "./record.ts";
import type { TopOwner } from "./survey.ts";

export type Adoption = PathPart["adopt"];

const AT_ONCE = 500;

/** Numbers of these names on the host: `getent passwd` or `getent group`. A name without a number is left out. */
export async function ownerNumbers(
  host: Host,
  database: "passwd" | "group",
  names: Iterable<string>,
  how: Cancel,
): Promise<Record<string, number>> {
  const numbers: Record<string, number> = {};
  // a name of digits alone would be looked up as a number
  const wanted = [...names].filter((name) => !/^\d*$/.test(name) && !name.includes("\0"));
  for (let at = 0; at < wanted.length; at += AT_ONCE) {
    const argv = ["getent", database, "--", ...wanted.slice(at, at + AT_ONCE)];
    const { stdout } = await host.run(argv, { ...how, env: { LC_ALL: "C" }, okExits: [0, 2] });
    for (const line of stdout.toString().split("\n")) {
      const [name, , number] = line.split(":");
      if (name && number) numbers[name] = Number(number);
    }
  }
  return numbers;
}

/**
 * Whose files the owner of a database's directory becomes when this host does not know the name: with DynamicUser the
 * number is drawn anew on every machine, and what is there belongs to the one drawn here. The same holds for what lies in
 * a directory that only systemd opens. Anything else keeps its number. Pure.
 *
 * @param kind of the part's first source
 */
export function adoptOwner(
  part: Pick<LaidPart, "real">,
  what: { readonly owner: TopOwner; readonly kind: "rocksdb" | "files"; readonly ground: Ground },
  known: Pick<PathRecord, "users" | "groups">,
): { readonly adopt: Adoption; readonly notes: readonly string[] } {
  const { owner, kind, ground } = what;
  const isPrivate = /^\/var\/(lib|cache|log)\/private\//.test(part.real);
  const isUnknown = named(known.users, owner.user) === undefined;
  const isGroupUnknown = named(known.groups, owner.group) === undefined;
  const mayAdopt = (kind === "rocksdb" || isPrivate) && isUnknown && owner.uid !== 0 && ground.uid !== 0;
  if (!mayAdopt) return { adopt: {}, notes: [] };
  const uid = ground.uid === owner.uid ? {} : { uid: { from: owner.uid, to: ground.uid } };
  const gid =
    !isGroupUnknown || owner.gid === 0 || ground.gid === owner.gid
      ? {}
      : { gid: { from: owner.gid, to: ground.gid } };
  if (!("uid" in uid) && !("gid" in gid)) return { adopt: {}, notes: [] };
  const who = owner.user === undefined ? `number ${owner.uid}` : `${owner.user} (${owner.uid})`;
  return {
    adopt: { ...uid, ...gid },
    notes: [
      `${part.real} belonged to ${who}, whom this machine does not know: it now belongs to ${ground.uid}:${ground.gid}, the owner of ${ground.path}`,
    ],
  };
}

/** What an entry's owner is on this host. */
export function ownerHere(
  { uid, gid, user, group }: TopOwner,
  adopt: Adoption,
  known: Pick<PathRecord, "users" | "groups">,
): { readonly uid: number; readonly gid: number } {
  const adopted = (number: number, { from, to } = { from: -1, to: -1 }) => (number === from ? to : number);
  return {
    uid: named(known.users, user) ?? adopted(uid, adopt.uid),
    gid: named(known.groups, group) ?? adopted(gid, adopt.gid),
  };
}

function named(numbers: Readonly<Record<string, number>>, name: string | undefined): number | undefined {
  return name !== undefined && Object.hasOwn(numbers, name) ? numbers[name] : undefined;
}
