import { quote } from "../host/quote.ts";
import { commands, facts, list, type Section, text } from "./document.ts";
import type { RunbookFacts } from "./runbook-facts.ts";
import { READING } from "./store-commands.ts";

/** What is done otherwise when not the whole machine is gone, or when it was not alone. */
export function variants(about: RunbookFacts): Section[] {
  return [
    {
      title: "Variant: the whole server",
      pieces: [text("All blocks above, in order.")],
    },
    onePart(about),
    badUpgrade(about),
    ...freshDatabase(about),
    breakIn(about),
  ];
}

function onePart(about: RunbookFacts): Section {
  const { date, databases, rocksdb } = about;
  const part = databases[0]?.source ?? rocksdb[0]?.source ?? "SOURCE";
  return {
    title: "Variant: one part only",
    pieces: [
      text(
        "One database or one directory, on the machine that runs: without the blocks for machine, DNS and bootstrap. What belongs together stays of one date: the bridge's database and state, the registrations and the homeserver's database. To look first, restore into a directory.",
      ),
      commands(
        `drops restore --date ${date} --only ${part} --to ./look ${READING}`,
        `drops restore --date ${date} --only ${part} --host ${running(about)} ${READING}`,
        `drops rollback --host ${running(about)}    # if it was not better before`,
      ),
      facts(
        ["expected", "counts and digests are those of the snapshot; the rest of the machine was not touched"],
        ["if not", "rollback puts back what was there, bit for bit"],
      ),
    ],
  };
}

function badUpgrade(about: RunbookFacts): Section {
  const { date } = about;
  return {
    title: "Variant: a bad upgrade",
    pieces: [
      text(
        `A homeserver's database does not go back: an older program does not open what a newer one has migrated. So first the old revision of the system, then the data of before the upgrade.${about.hasBridge ? " Some upgrades of a homeserver ask for a fresh database; no restore helps there: see the next variant." : ""}`,
      ),
      commands(
        `drops show ${date} ${READING}    # says which revision and which homeserver it was made with`,
        "nixos-rebuild switch --rollback    # or the recorded revision of the flake",
        `drops restore --date ${date} --host ${running(about)} ${READING}`,
      ),
      facts(
        [
          "expected",
          "the old version runs on the data of before; what came after it is lost, and the restore names it",
        ],
        [
          "if not",
          "try the newer version on a copy of the data, on a machine without network, never on the only copy",
        ],
      ),
    ],
  };
}

/** Where a bridge has the messages from somewhere else. */
function freshDatabase({ hasBridge, rocksdb }: RunbookFacts): Section[] {
  if (!hasBridge) return [];
  const database = rocksdb[0]?.path ?? "the homeserver's database";
  return [
    {
      title: "Variant: a fresh homeserver database",
      pieces: [
        text(
          "Some upgrades of a homeserver ask for a fresh database: the new version does not take the old one over. Either the old version stays, with its data, or the Matrix side is rebuilt from Slack.",
        ),
        list(
          "Run drops backup once more and drops pin the snapshot: with the old version it can be restored as long as it is there.",
          `Stop the bridge and the homeserver. Move ${database} to another name; do not delete it.`,
          "Give the bridge an empty database, too: what is in the old one names rooms and users that are no more.",
          "Start the homeserver and make the accounts anew. Register the bridge there: the homeserver had a copy of the registration in its database.",
          "Start the bridge and log in to Slack (login app). It makes the rooms anew and brings as much history as Slack hands out.",
        ),
        facts(
          ["expected", "messages go both ways in new rooms; everything that is in Slack is still in Slack"],
          [
            "what is lost",
            "Matrix accounts with their passwords and devices; keys of encrypted rooms and so their history; rooms that are not bridged, and rooms of other servers until they are joined again; media and messages that only Matrix had; history older than Slack hands out; room ids, links to messages, and the server's signing key",
          ],
          ["if not", "the old revision and the pinned snapshot, as in “A bad upgrade”"],
        ),
      ],
    },
  ];
}

function breakIn({ date, gate, units }: RunbookFacts): Section {
  const start = units.map(quote).join(" ") || "UNITS";
  return {
    title: "Variant: a break-in",
    pieces: [
      list(
        "Fence the machine now, and keep its disk for looking at.",
        "Choose a date before the break-in. A record's signature says who wrote it, not that the machine was clean.",
        "A new machine with a new SSH host key: do not restore the old one. Make a new one, and run sops updatekeys with an admin key.",
        "Restore without starting anything; then rotate the Slack app's tokens, as_token and hs_token (registration, bridge configuration and the homeserver's copy together), and every secret that lay on the server.",
        "New keys for drops (drops keygen) and a new credential for the store; remove the old ones at the provider. A writer that may not delete has left the old snapshots whole.",
        "A dump is code: look at it before a superuser loads it.",
      ),
      commands(
        `drops restore --date ${date} --host root@NEW-ADDRESS --steps fence,preflight,stop,rocksdb,postgres,files ${READING}`,
        `ssh root@NEW-ADDRESS 'rm ${quote(gate)}; systemctl start ${start}'    # only after everything was rotated`,
      ),
      facts(
        ["expected", "the first command ends with the data in place, the gate closed and every unit stopped"],
        [
          "point of no return",
          "old tokens that were used by somebody else stay known to them until they are rotated",
        ],
      ),
    ],
  };
}

function running({ oldHost }: RunbookFacts): string {
  return `root@${oldHost === "OLD-ADDRESS" ? "ADDRESS" : quote(oldHost)}`;
}
