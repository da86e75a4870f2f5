import { encodeQR } from "qr";
import { quote } from "../host/quote.ts";
import { commands, facts, list, type PaperDocument, text } from "./document.ts";
import { signerPieces } from "./signer-rows.ts";
import { READING, type RecoveryPlace, settingUp, withoutDrops } from "./store-commands.ts";

export interface SheetFacts extends RecoveryPlace {
  /** Secret: `AGE-SECRET-KEY-…`. */
  readonly identity: string;
  readonly recipient: string;
  /** 32 hex digits; undefined when the store could not be asked. */
  readonly repositoryId: string | undefined;
  /** SHA-256 of the certificate authority's file, when the store has one of its own. */
  readonly authority: string | undefined;
  /** One sentence when the store lies on the disk that holds the data, as `sameDisk` answers it. */
  readonly sameDisk: string | undefined;
  /** The private key file that the policy logs in with; undefined: an SSH agent, or this machine. */
  readonly sshKey: string | undefined;
  /** A day of the policy's zone. */
  readonly made: string;
  readonly version: string;
}

/**
 * The recovery sheet: one page that is enough to bring a policy's data back when nothing else is left. It holds the recovery
 * identity.
 */
export function recoverySheet(about: SheetFacts): PaperDocument {
  return {
    title: `Recovery sheet of ${about.policy}`,
    subtitle: `Made ${about.made} by drops ${about.version}. Make a new one when keys, store or policy name change.`,
    warning:
      "SECRET: whoever holds this sheet and can read the store can read every backup. It belongs on paper, in a safe, in two places. Print it, then delete the files it was printed from.",
    sections: [
      { title: "1. Recovery identity", pieces: identityPieces(about) },
      { title: "2. The store", pieces: [facts(...storeRows(about))] },
      {
        title: "3. Trusted signers",
        pieces: signerPieces(about),
      },
      {
        title: "4. Accounts (fill in by hand)",
        pieces: [facts(["server provider", ""], ["DNS", ""], ["registrar", ""], ["S3 provider", ""])],
      },
      {
        title: "5. Recovery: first, in bash",
        pieces: [
          commands(
            "umask 077; nano recovery-identity.txt    # the line AGE-SECRET-KEY-… above",
            ...settingUp(about),
          ),
        ],
      },
      {
        title: "6. With drops",
        pieces: [
          commands(
            `drops snapshots ${READING}`,
            `drops restore --date latest --host root@NEW-ADDRESS${login(about)} ${READING}`,
          ),
        ],
      },
      { title: "7. Without drops: recover.sh from the store", pieces: withoutPieces(about) },
      {
        title: "Do not",
        pieces: [
          list(
            "delete or prune anything in the store; start the old machine or a second bridge or homeserver; generate a registration (-g)",
            "after a break-in: restore the old SSH host key, or keep any token that was on the server",
          ),
        ],
      },
    ],
  };
}

/** As the policy logs in; who has lost that file leaves the option out, and an SSH agent is asked. */
function login({ sshKey }: SheetFacts): string {
  return sshKey === undefined ? "" : ` --ssh-key ${quote(sshKey)}`;
}

function identityPieces({ identity, recipient }: SheetFacts) {
  // upper case, digits and dashes: a small code. A fifth of it may be lost to a fold or a stain.
  const svg = encodeQR(identity, "svg", { ecc: "quartile", border: 4 });
  return [
    { kind: "code", svg, caption: "the identity, for a scanner" } as const,
    text("This is the only key that opens the backups. It is one line without blanks:"),
    commands(identity),
    facts(["its public half", recipient.length <= 100 ? recipient : `${recipient.slice(0, 60)}…`]),
  ];
}

function storeRows({ store, repositoryId, authority, sameDisk }: SheetFacts): [string, string][] {
  const id: [string, string] = ["repository id", repositoryId ?? "(the store did not answer)"];
  const warning: [string, string][] = sameDisk === undefined ? [] : [["WARNING", sameDisk]];
  if ("directory" in store) return [["directory", store.directory], id, ...warning];
  const { endpoint, region, bucket, prefix, path_style, ca_file } = store.s3;
  return [
    ["endpoint", endpoint ?? `https://s3.${region}.amazonaws.com`],
    ["region", region],
    ["bucket", `${bucket}${path_style ? "" : "   (part of the host's name)"}`],
    ["prefix", prefix],
    id,
    ...(ca_file === undefined
      ? []
      : [
          ["certificate authority", `${ca_file}, SHA-256 ${authority ?? "unknown"}: keep a copy of it`] as [
            string,
            string,
          ],
        ]),
    ["read credential", "at the S3 provider, create an access key that may list and read this bucket"],
    ["where it is kept, if one exists", ""],
  ];
}

function withoutPieces(about: SheetFacts) {
  const age = about.recipient.startsWith("age1pq1") ? "1.3.0" : "1.1.0";
  return [
    facts(
      ["recover.sh, SHA-256", about.script],
      [
        "needs",
        `age ${age} or newer, bash, zstd, tar, jq, curl 7.75 or newer, OpenSSH 8.9 or newer, grep, sed, coreutils, findutils`,
      ],
    ),
    commands(
      "apt-get install age zstd jq openssh-client curl    # Debian; for a database: postgresql-client",
      ...withoutDrops(about, "latest"),
    ),
    text(
      "In place of latest you can give a day such as 2026-11-20. Then continue with ./restored/RUNBOOK.md. With --load-databases --postgres-user postgres before the address it also fills a running PostgreSQL.",
    ),
  ];
}
