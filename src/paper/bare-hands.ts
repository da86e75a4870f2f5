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
        "It lies in the store, believes nothing that it has not checked, and brings a whole snapshot into a directory. Instead of latest, a day such as 2026-11-20 (UTC) or a snapshot's id; names of sources at the end, if not all are wanted.",
      ),
      commands(
        "apt-get install age zstd jq openssh-client curl    # Debian; age 1.1 or newer",
        ...withoutDrops(about, "latest"),
      ),
      text(
        "Broken off, it goes on with what was fetched already, once ./restored is removed. With a PostgreSQL that runs, it makes roles and databases, loads the dumps as their owners and compares counts and digests. A dump is code; it never runs as a superuser: --load-databases --postgres-user postgres, before the address.",
      ),
      facts(
        [
          "expected",
          "“recovered” for every source, exit status 0; RUNBOOK.md beside them is this policy's own runbook",
        ],
        [
          "if not",
          "it names the object that is damaged or missing; take another date. What it says was ignored, somebody may have tampered with",
        ],
        ["time", "as long as the download, and again for writing"],
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
        "Keep what you replace: move it aside, never delete it. The SSH host key of a sops-nix machine first of all: into extra/etc/ssh/, mode 0600, before nixos-anywhere --extra-files extra.",
      ),
      commands(
        `touch ${quote(gate)}; systemctl stop ${stop || "UNITS"}`,
        ...rocksdb.flatMap(({ source, path }) => [
          `mv ${quote(path)} ${quote(`${path}.before`)}    # ${source}: the same version of the server as before, or a newer one`,
          `cp -a restored/${source} ${quote(path)} && chown -R --reference=${quote(`${path}.before`)} ${quote(path)}`,
        ]),
        ...databases.flatMap(({ source, database }) => [
          `runuser -u postgres -- psql -X -d postgres -c ${quote(`ALTER DATABASE ${quoteIdentifier(database)} RENAME TO ${quoteIdentifier(`${database}_before`)}`)}`,
          `less restored/${source}/roles.sql restored/${source}/database.sql    # a dump is code: these are statements that the server chose. Type those you want`,
          "runuser -u postgres -- psql -X -d postgres    # CREATE ROLE of the owner, CREATE DATABASE; never SUPERUSER, COPY, or a line with a backslash",
          `pg_restore --exit-on-error --no-owner -h 127.0.0.1 -U OWNER -d ${quote(database)} < restored/${source}/database.dump    # as the owner, who is no superuser, never as postgres`,
        ]),
        "cp -a restored/SOURCE/PATH /PATH    # every other source, as root; media before the first start",
        `rm ${quote(gate)}; systemctl start ${start || "UNITS"}`,
      ),
      text(
        "A server with DynamicUser keeps its state in /var/lib/private/NAME. The bridge's configuration and registration must be of the date of the homeserver's database: exit status 16 says that they are not.",
      ),
      text(
        "Without even the script, in a directory that holds what is below the prefix, beside the policy's folder:",
      ),
      commands(
        needsSignersFile(about)
          ? `sed -n 's/^ssh-/drops &/p' "$SIGNER" > allowed`
          : `printf 'drops %s\\n' "$SIGNER" > allowed    # where it is a file: sed -n 's/^ssh-/drops &/p' "$SIGNER" > allowed`,
        "cd POLICY",
        "ssh-keygen -Y verify -f ../allowed -I drops -n drops-snapshot-v1 -s snapshots/TIME-ID.json.sig < snapshots/TIME-ID.json",
        "jq '.sources[] | {name, outcome, list, manifest}' snapshots/TIME-ID.json",
        "sha256sum lists/HASH manifests/HASH; sha256sum --strict -c lists/HASH    # each is its own name, and every pack is whole",
        "age -d -i ../recovery-identity.txt manifests/HASH | zstd -d > manifest.jsonl    # a line per file, with its chunks",
        "mkdir chunks; age -d -i ../recovery-identity.txt packs/AA/HASH | zstd -d | tar -x -C chunks    # every pack of the list",
        "cat chunks/FIRST chunks/SECOND > file    # in the manifest's order",
      ),
      text(
        "Believe a record only when ssh-keygen says Good “drops-snapshot-v1” signature; one by a revoked key, which is not among the allowed, only when record and signature were in the store before its time. Every detail is in docs/format.md.",
      ),
    ],
  };
}
