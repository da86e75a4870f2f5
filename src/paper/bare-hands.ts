import { quote } from "../host/quote.ts";
import { quoteIdentifier } from "../source/postgres/quote.ts";
import { commands, facts, type Section, text } from "./document.ts";
import type { RunbookFacts } from "./runbook-facts.ts";
import { needsSignersFile, withoutDrops } from "./store-commands.ts";

/** The way that needs no drops: recover.sh for the data, hands for the rest. */
export function withoutDropsSection(about: RunbookFacts): Section {
  return {
    title: "Without drops: recover.sh",
    newPage: true,
    pieces: [
      text(
        "recover.sh is in the store. It checks everything that it reads, and restores a snapshot into a directory. In place of latest you can give a day such as 2026-11-20 (UTC) or a snapshot's id. To restore only some sources, add their names at the end.",
      ),
      commands(
        "apt-get install age zstd jq openssh-client curl    # Debian; age 1.1 or newer",
        ...withoutDrops(about, "latest"),
      ),
      text(
        "If it is interrupted, remove ./restored and run it again: it keeps what it has downloaded. It can also fill a running PostgreSQL: put --load-databases --postgres-user postgres before the address. It then creates roles and databases, loads the dumps as their owners (never as a superuser, because a dump contains code), and compares counts and digests.",
      ),
      facts(
        [
          "expected",
          "“recovered” for every source, and exit status 0. RUNBOOK.md in ./restored is the runbook of this policy",
        ],
        [
          "if not",
          "it prints the damaged or missing object; use another date. If it reports ignored objects, somebody may have tampered with them",
        ],
        ["time", "the download, and the same time again for writing"],
        ["point of no return", "none: it writes into a new directory only"],
      ),
    ],
  };
}

/** Putting it in place, and reading a repository without even the script. */
export function bareHands(about: RunbookFacts): Section {
  const { databases, rocksdb, units, gate } = about;
  const stop = units.toReversed().map(quote).join(" ");
  const start = units.map(quote).join(" ");
  return {
    title: "By hand",
    pieces: [
      text(
        "Put the restored files in place yourself. Move old files to another name; never delete them. On a sops-nix machine, start with the SSH host key: put it into extra/etc/ssh/ with mode 0600, then run nixos-anywhere --extra-files extra.",
      ),
      commands(
        `touch ${quote(gate)}; systemctl stop ${stop || "UNITS"}`,
        ...rocksdb.flatMap(({ source, path }) => [
          `mv ${quote(path)} ${quote(`${path}.before`)}    # ${source}: use the same or a newer version of the server`,
          `cp -a restored/${source} ${quote(path)} && chown -R --reference=${quote(`${path}.before`)} ${quote(path)}`,
        ]),
        ...databases.flatMap(({ source, database }) => [
          `runuser -u postgres -- psql -X -d postgres -c ${quote(`ALTER DATABASE ${quoteIdentifier(database)} RENAME TO ${quoteIdentifier(`${database}_before`)}`)}`,
          `less restored/${source}/roles.sql restored/${source}/database.sql    # a dump contains code: read it, then type the statements that you want`,
          "runuser -u postgres -- psql -X -d postgres    # CREATE ROLE of the owner, CREATE DATABASE; never SUPERUSER, COPY, or a line with a backslash",
          `pg_restore --exit-on-error --no-owner -h 127.0.0.1 -U OWNER -d ${quote(database)} < restored/${source}/database.dump    # as the owner, never as a superuser or postgres`,
        ]),
        "cp -a restored/SOURCE/PATH /PATH    # every other source, as root; media before you start the services",
        `rm ${quote(gate)}; systemctl start ${start || "UNITS"}`,
      ),
      text(
        "A unit with DynamicUser has its state in /var/lib/private/NAME. The bridge's configuration, its registration and the homeserver's database must be of one date. If they are not, the bridge ends with exit status 16.",
      ),
      text(
        "Without recover.sh: download everything below the prefix into a directory, and run these commands there:",
      ),
      commands(
        needsSignersFile(about)
          ? `sed -n 's/^ssh-/drops &/p' "$SIGNER" > allowed`
          : `printf 'drops %s\\n' "$SIGNER" > allowed    # if SIGNER is a file: sed -n 's/^ssh-/drops &/p' "$SIGNER" > allowed`,
        "cd POLICY",
        "ssh-keygen -Y verify -f ../allowed -I drops -n drops-snapshot-v1 -s snapshots/TIME-ID.json.sig < snapshots/TIME-ID.json",
        "jq '.sources[] | {name, outcome, list, manifest}' snapshots/TIME-ID.json",
        "sha256sum lists/HASH manifests/HASH; sha256sum --strict -c lists/HASH    # each hash must be the file's name; every pack must be OK",
        "age -d -i ../recovery-identity.txt manifests/HASH | zstd -d > manifest.jsonl    # one line per file, with its chunks",
        "mkdir chunks; age -d -i ../recovery-identity.txt packs/AA/HASH | zstd -d | tar -x -C chunks    # every pack of the list",
        "cat chunks/FIRST chunks/SECOND > file    # in the manifest's order",
      ),
      text(
        "Trust a record only if ssh-keygen prints Good “drops-snapshot-v1” signature. The file allowed has no revoked keys: trust a record by a revoked key only if the record and its signature were in the store before the revocation. docs/format.md has all details.",
      ),
    ],
  };
}
