import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { parseIdentityFile, recipientsOf } from "../seal/recipients.ts";
import { fail, type Line, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** Where people leave keys, on any machine. */
const USUAL_PLACES = ["/etc/drops", "/etc/drops/keys", "/root", "/run/drops/credentials", "/var/lib/drops"];
const LARGEST = 64 * 1024;
const MOST_FILES = 1000;

/** A file that holds identities, by what it says of them in public; the identities themselves never travel. */
interface Found {
  readonly file: string;
  readonly recipients: readonly string[];
}

/** Files with age identities in usual places, not deeper than two directories: names, and their `# public key:` lines. */
const SCRIPT = `
for place; do
  [ -d "$place" ] || continue
  find "$place" -xdev -maxdepth 2 -type f -size -64k -exec grep -lsI '^AGE-SECRET-KEY-' {} + 2>/dev/null
done | sort -u | head -n 100 | while IFS= read -r file; do
  printf 'file=%s\\n' "$file"
  grep -hsi '^# *public key: *age1' "$file" | head -n 20
done
exit 0
`;

/** A recovery identity on this machine or on the host that is backed up: neither of them has to read backups. */
export async function strayIdentities(world: World, how: Cancel): Promise<Line[]> {
  const recipients = await world.recipients;
  const places = [...new Set([...world.keyDirectories, ...USUAL_PLACES])];
  const here = (await Promise.all(places.map(identitiesIn))).flat();
  const lines = judgeStray("this machine", unique(here), recipients);
  if (world.loaded.policy.host === "local") return lines.length > 0 ? lines : [ok(NONE)];
  const host = await world.host.catch(() => undefined);
  if (!host) {
    const what = "whether a recovery identity lies on the host could not be looked at: it was not reached";
    return [...lines, { result: "unable", what, fix: "correct the connection first" }];
  }
  lines.push(...judgeStray("the host", await identitiesOn(host, places, how), recipients));
  return lines.length > 0 ? lines : [ok(NONE)];
}

const NONE = "no recovery identity lies where keys usually do";

/** Pure. A file that does not say whose it is, is named too: better looked at once in vain. */
export function judgeStray(where: string, found: readonly Found[], recovery: readonly string[]): Line[] {
  return found.flatMap(({ file, recipients }) => {
    if (recipients.some((recipient) => recovery.includes(recipient))) {
      const what = `THE RECOVERY IDENTITY LIES ON ${where.toUpperCase()}: ${file} opens every backup`;
      return [
        fail(
          what,
          `copy it to two safe places that are not this server, try them (drops doctor --identity FILE), then: shred -u ${file}`,
        ),
      ];
    }
    if (recipients.length > 0) return [];
    return [
      warn(
        `${file} on ${where} holds an age identity and does not say of which recipient`,
        `find out with: age-keygen -y ${file}`,
      ),
    ];
  });
}

async function identitiesIn(directory: string): Promise<Found[]> {
  const names = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const files = names.filter((entry) => entry.isFile()).slice(0, MOST_FILES);
  const found = await Promise.all(files.map(({ name }) => identityIn(join(directory, name))));
  return found.filter((one) => one !== undefined);
}

async function identityIn(file: string): Promise<Found | undefined> {
  try {
    if ((await stat(file)).size > LARGEST) return undefined;
    const text = await readFile(file, "utf8");
    if (!/^AGE-SECRET-KEY-/m.test(text)) return undefined;
    const { identities } = parseIdentityFile(text, file);
    return { file, recipients: await recipientsOf(identities) };
  } catch (error) {
    if (isFailure(error)) return { file, recipients: [] };
    if (error instanceof Error && "code" in error) return undefined; // who may not read it is not helped by it
    throw error;
  }
}

async function identitiesOn(host: Host, places: readonly string[], how: Cancel): Promise<Found[]> {
  const { stdout } = await host.run(["sh", "-c", SCRIPT, "drops-doctor", ...places], {
    ...how,
    maxStdout: 1024 * 1024,
  });
  return parseFound(stdout.toString());
}

/** Exported for its tests. */
export function parseFound(text: string): Found[] {
  const found: { file: string; recipients: string[] }[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("file=")) found.push({ file: line.slice("file=".length), recipients: [] });
    const recipient = /^# *public key: *(age1[a-z0-9]+)\s*$/i.exec(line)?.[1];
    if (recipient !== undefined) found.at(-1)?.recipients.push(recipient);
  }
  return found;
}

function unique(found: readonly Found[]): Found[] {
  return [...new Map(found.map((one) => [one.file, one])).values()];
}
