import * as z from "zod";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { parseYaml } from "../lib/yaml.ts";
import { type Line, ok, warn } from "./types.ts";

/** A `.sops.yaml` that was found, as text. */
export interface SopsFile {
  readonly file: string;
  readonly text: string;
}

const SCRIPT = `
for file in /etc/nixos/.sops.yaml /etc/nixos/*/.sops.yaml /root/.sops.yaml /root/*/.sops.yaml /etc/sops/.sops.yaml /srv/*/.sops.yaml; do
  [ -f "$file" ] && [ -r "$file" ] || continue
  printf '%s\\0' "$file"
  head -c 65536 -- "$file" | tr -d '\\000'
  printf '\\0'
done
exit 0
`;

const Keys = z.union([z.string(), z.array(z.string())]).optional();
const Rules = z.object({
  creation_rules: z
    .array(
      z.looseObject({
        path_regex: z.string().optional(),
        age: Keys,
        pgp: Keys,
        key_groups: z.array(z.looseObject({ age: Keys, pgp: Keys })).optional(),
      }),
    )
    .optional(),
});

/** `.sops.yaml` of the places where a server's own configuration is usually checked out. */
export async function readSops(host: Host, how: Cancel): Promise<SopsFile[]> {
  const { stdout } = await host.run(["sh", "-c", SCRIPT], { ...how, maxStdout: 4 * 1024 * 1024 });
  const fields = stdout.toString().split("\0");
  return fields.flatMap((file, at) =>
    at % 2 === 0 && file !== "" ? [{ file, text: fields[at + 1] ?? "" }] : [],
  );
}

/** Pure: a rule with a single recipient leaves nobody but that one, which on a server is its host key. */
export function judgeSops(files: readonly SopsFile[]): Line[] {
  if (files.length === 0) return [ok("no .sops.yaml was seen on the host")];
  const lines = files.flatMap(({ file, text }) => judgeOne(file, text));
  return lines.length > 0
    ? lines
    : [ok(`every rule of ${files.map(({ file }) => file).join(", ")} has a second key`)];
}

function judgeOne(file: string, text: string): Line[] {
  const document = parseYaml(text, { merge: true });
  const read = document.errors.length > 0 ? undefined : Rules.safeParse(toPlain(document)).data;
  if (!read) return [warn(`${file} on the host cannot be read as sops rules`, `look at ${file}`)];
  return (read.creation_rules ?? []).flatMap((rule) => {
    const groups = [rule, ...(rule.key_groups ?? [])];
    const recipients = groups.flatMap(({ age, pgp }) => [...listed(age), ...listed(pgp)]);
    if (recipients.length !== 1) return [];
    const which = rule.path_regex === undefined ? "a rule" : `the rule for ${rule.path_regex}`;
    return [
      warn(
        `${which} in ${file} has one recipient: if that is the host key, nobody else opens these secrets`,
        "add an admin's key to that rule, then: sops updatekeys FILE; and back the host key up (bootstrap)",
      ),
    ];
  });
}

function toPlain(document: ReturnType<typeof parseYaml>): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    return undefined;
  }
}

/** sops takes a list, or one string with commas. */
function listed(keys: string | readonly string[] | undefined): string[] {
  const all = typeof keys === "string" ? keys.split(",") : (keys ?? []);
  return all.map((key) => key.trim()).filter((key) => key !== "");
}
