import { stringify } from "yaml";
import type { StorePolicy } from "../policy/schema.ts";
import type { Suggestion } from "./suggest.ts";

/** All that a first policy says. */
export interface Choices {
  readonly name: string;
  readonly zone: string;
  readonly host: "local" | { readonly user?: string; readonly address: string; readonly port?: number };
  /** Private key for the host; undefined: as ssh finds it. */
  readonly sshKey: string | undefined;
  readonly store: StorePolicy;
  /** Of S3; undefined: the environment. */
  readonly credentialsFile: string | undefined;
  /** Where `drops keygen` puts keys. */
  readonly keys: string;
  readonly sources: readonly Suggestion[];
}

/** A service on RocksDB before others: a bridge asks its homeserver who it is, and ends when nobody answers. */
const STARTS_FIRST = ["rocksdb", "files", "postgres"];

/** A policy file with comments, as a person would write and change it. Pure. */
export function policyText(choices: Choices): string {
  const { name, zone, keys, sources } = choices;
  const units = new Set(
    STARTS_FIRST.flatMap((kind) => sources.filter(({ what }) => what.kind === kind)).flatMap(
      (source) => source.units,
    ),
  );
  return [
    `# What is backed up, from where to where. drops policy check  reads it, drops policy show  fills in the defaults.`,
    line("name", name),
    `${line("zone", zone)} # --date 2026-11-20 is that day here`,
    "",
    ...hostLines(choices),
    ...storeLines(choices),
    "# drops keygen makes these. The recovery identity, which opens everything, belongs off this machine.",
    "keys:",
    `  ${line("recovery_recipients_file", `${keys}/recovery-recipients.txt`)}`,
    `  ${line("metadata_identity_file", `${keys}/metadata-identity.txt`)}`,
    `  ${line("signing_key_file", `${keys}/signing-key`)}`,
    "",
    "rpo: 26h # nightly, with some room for a slow night",
    "rto: 2h",
    "keep: { daily: 7, weekly: 4, monthly: 12 }",
    "",
    "# In capture order: databases first, files last, so that every file that a database knows is there.",
    "sources:",
    ...sources.flatMap(sourceLines),
    "",
    ...unitLines([...units]),
  ].join("\n");
}

function hostLines({ host, sshKey }: Choices): string[] {
  if (host === "local") return ["host: local", ""];
  const { address, user, port } = host;
  return [
    "host:",
    "  ssh:",
    `    ${line("address", address)}`,
    ...(user === undefined ? [] : [`    ${line("user", user)}`]),
    ...(port === undefined ? [] : [`    ${line("port", port)}`]),
    sshKey === undefined
      ? "    # key_file: without it as ssh finds one (agent, ~/.ssh)"
      : `    ${line("key_file", sshKey)}`,
    "    # host_key: without it known_hosts decides",
    "",
  ];
}

function storeLines({ store, credentialsFile }: Choices): string[] {
  if ("directory" in store) return ["store:", `  ${line("directory", store.directory)}`, ""];
  const { bucket, prefix, endpoint, region, path_style, ca_file } = store.s3;
  const fields = { bucket, prefix, endpoint, region, path_style: path_style ? undefined : false, ca_file };
  const credentials =
    credentialsFile === undefined
      ? "    # credentials_file: without it AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are looked for"
      : `    ${line("credentials_file", credentialsFile)} # AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=… lines`;
  const lines = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `    ${line(key, value)}`);
  return ["store:", "  s3:", ...lines, credentials, ""];
}

function sourceLines({ name, what }: Suggestion): string[] {
  const head = [`  - ${line("name", name)}`, `    ${line("kind", what.kind)}`];
  if (what.kind === "postgres") {
    const { database, container, user } = what;
    const fields = Object.entries({ database, container, user }).filter(([, value]) => value !== undefined);
    return [...head, ...fields.map(([key, value]) => `    ${line(key, value)}`)];
  }
  if (what.kind === "rocksdb") return [...head, `    ${line("path", what.path)}`];
  const exclude = what.exclude.map((pattern) => `      - ${scalar(pattern)}`);
  return [
    ...head,
    `    paths: [${scalar(what.path, true)}]`,
    ...(exclude.length > 0 ? ["    exclude: # what has a source of its own", ...exclude] : []),
  ];
}

function unitLines(units: readonly string[]): string[] {
  const how =
    "# How it is brought back onto a host: policies/demo.yaml and docs/guided-restore.md tell the rest.";
  if (units.length === 0) return [how, "# restore: { units: [{ unit: SERVICE.service }] }", ""];
  return [
    how,
    "restore:",
    "  # In the order of starting; stopped in the reverse.",
    "  units:",
    ...units.map((unit) => `    - ${line("unit", unit)}`),
    "",
  ];
}

function line(key: string, value: unknown): string {
  return `${key}: ${scalar(value)}`;
}

/** One line, quoted where YAML would read something else. */
function scalar(value: unknown, inFlow = false): string {
  const plain = stringify(value, { lineWidth: 0 }).trimEnd();
  const isOneLine = !plain.includes("\n") && !(inFlow && /[[\]{},]/.test(plain));
  return isOneLine ? plain : JSON.stringify(value);
}
