import { quote } from "../host/quote.ts";
import { commands, facts, list, type Section, text } from "./document.ts";
import type { RunbookFacts } from "./runbook-facts.ts";
import { READING } from "./store-commands.ts";

/** What is done otherwise when not the whole machine is gone, or when it was not alone. */
export function variants(about: RunbookFacts): Section[] {
  return [
    {
      title: "Variant: the whole server",
      pieces: [text("Do all numbered steps above, in order.")],
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
        "Restore one database or directory on the running machine. Skip the steps for machine, DNS and bootstrap. Restore data that belongs together from one date: the bridge's database and state, the registrations, and the homeserver's database. The first command only restores into a directory, to look at:",
      ),
      commands(
        `drops restore --date ${date} --only ${part} --to ./look ${READING}`,
        `drops restore --date ${date} --only ${part} --host ${running(about)} ${READING}`,
        `drops rollback --host ${running(about)}    # only to undo it`,
      ),
      facts(
        ["expected", "counts and digests match the snapshot; nothing else on the machine changed"],
        ["if not", "drops rollback returns to the old data, bit for bit"],
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
        `An older homeserver cannot open a database that a newer one has migrated. First go back to the old revision of the system, then restore the data from before the upgrade.${about.hasBridge ? " Some upgrades of a homeserver ask for a fresh database; a restore does not help then: see the next variant." : ""}`,
      ),
      commands(
        `drops show ${date} ${READING}    # shows its revision and homeserver version`,
        "nixos-rebuild switch --rollback    # or the recorded revision of the flake",
        `drops restore --date ${date} --host ${running(about)} ${READING}`,
      ),
      facts(
        ["expected", "the old version runs with the old data; the restore lists what is lost"],
        [
          "if not",
          "try the newer version on a copy of the data, on a machine without network. Never use the only copy",
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
          "Some upgrades of a homeserver ask for a fresh database: the new version cannot use the old one. Either keep the old version and its data, or follow this list: the Matrix side is rebuilt from Slack.",
        ),
        list(
          "Run drops backup once more, and keep the snapshot with drops pin. The old version can use it.",
          `Stop the bridge and the homeserver. Move ${database} to another name; do not delete it.`,
          "Give the bridge an empty database too: the old one refers to rooms and users that no longer exist.",
          "Start the homeserver and create the accounts again. Register the bridge again: the old registration was in the homeserver's database.",
          "Start the bridge and log in to Slack (login app). It creates the rooms again, with as much history as Slack hands out.",
        ),
        facts(
          ["expected", "messages arrive in both directions in new rooms; Slack still has all of its data"],
          [
            "what is lost",
            "Matrix accounts with their passwords and devices; keys of encrypted rooms and so their history; rooms that are not bridged, and rooms of other servers until they are joined again; media and messages that only Matrix had; history older than Slack hands out; room ids, links to messages, and the server's signing key",
          ],
          ["if not", "go back to the old revision and the pinned snapshot: “A bad upgrade”"],
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
        "Switch the machine off now, and keep its disk for the investigation.",
        "Choose a date before the break-in. A signature shows who wrote a snapshot, not that the machine was clean.",
        "Use a new machine with a new SSH host key. Do not restore the old host key. Run sops updatekeys with an admin key.",
        "Restore without starting services. Then rotate the Slack app's tokens, as_token and hs_token (in registration, bridge configuration and homeserver together), and every other secret of the server.",
        "Make new keys (drops keygen) and a new credential for the store. Remove the old credential at the provider. If it could not delete, the old snapshots are whole.",
        "A dump contains code: read it before a superuser loads it.",
      ),
      commands(
        `drops restore --date ${date} --host root@NEW-ADDRESS --steps fence,preflight,stop,rocksdb,postgres,files ${READING}`,
        `ssh root@NEW-ADDRESS 'rm ${quote(gate)}; systemctl start ${start}'    # only after you rotated everything`,
      ),
      facts(
        [
          "expected",
          "after the first command the data is in place, the gate exists, and every unit is stopped",
        ],
        ["point of no return", "an attacker can use the old tokens until you rotate them"],
      ),
    ],
  };
}

function running({ oldHost }: RunbookFacts): string {
  return `root@${oldHost === "OLD-ADDRESS" ? "ADDRESS" : quote(oldHost)}`;
}
