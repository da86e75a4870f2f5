import { FINISH, type RestoreStep, STEPS, stepOf } from "../guided/run/steps.ts";
import { quote } from "../host/quote.ts";
import { commands, facts, list, type Piece, type Section, text } from "./document.ts";
import type { RunbookFacts } from "./runbook-facts.ts";
import { READING } from "./store-commands.ts";

/** One numbered part of a runbook: what is typed, what is then seen, and what if it is not. */
interface Block {
  readonly title: string;
  readonly does: string;
  readonly commands: readonly string[];
  readonly more?: readonly Piece[];
  readonly expected: string;
  readonly otherwise: string;
  readonly time: string;
  /** What cannot be taken back after it. */
  readonly noReturn?: string;
}

const NEW = "root@NEW-ADDRESS";

/** The whole way from a machine that is gone to one that serves, in order. What the policy has no part in is left out. */
export function runbookSections(about: RunbookFacts): Section[] {
  const hasWeb = about.units.some((unit) => /^(nginx|caddy|httpd|apache2)\.service$/.test(unit));
  const blocks = [
    fence(about),
    server(about),
    dns(),
    ...(about.bootstrap.length > 0 ? [bootstrap(about)] : []),
    gate(about),
    restore(about),
    ...(hasWeb ? [web(about)] : []),
    ...(about.hasBridge ? [federation(), slack(about), clients()] : []),
    finish(about),
    backup(about),
  ];
  return blocks.map((block, index) => ({ title: `${index + 1}. ${block.title}`, pieces: piecesOf(block) }));
}

function piecesOf(block: Block): Piece[] {
  return [
    text(block.does),
    ...block.commands.map((line) => commands(line)), // one at a time: each is looked at before the next
    ...(block.more ?? []),
    facts(
      ["expected", block.expected],
      ["if not", block.otherwise],
      ["time", block.time],
      ["point of no return", block.noReturn ?? "none"],
    ),
  ];
}

const fence = ({ oldHost, units }: RunbookFacts): Block => ({
  title: "Fence the old machine",
  does: `Two running bridges split the events of one Slack connection, and two homeservers cannot share one name. Switch the old machine off at its provider. If you cannot, stop and disable its services.`,
  commands: [
    `ping -c 3 ${quote(oldHost)}`,
    `ssh root@${quote(oldHost)} systemctl disable --now ${units.map(quote).join(" ") || "UNITS"}    # only if it cannot be switched off`,
  ],
  expected: stepOf("fence").expected,
  otherwise: stepOf("fence").otherwise,
  time: "5 minutes",
});

const server = ({ sources }: RunbookFacts): Block => ({
  title: "A new machine",
  does: `Order a machine with the same architecture, at least the same memory, and twice the disk space of the data: old and restored data are both there until you finish.${sources.length > 0 ? " The restore brings back:" : ""}`,
  commands: [`ssh-keyscan -t ed25519 NEW-ADDRESS    # compare with what the provider's console shows`],
  more:
    sources.length > 0
      ? [facts(...sources.map(({ name, kind, what }) => [name, `${kind}: ${what}`] as const))]
      : [],
  expected: "the machine answers over SSH, and the key is the one on its console",
  otherwise: "use another region or provider; the steps below work on any",
  time: "10 to 30 minutes",
});

const dns = (): Block => ({
  title: "DNS",
  does: "Change the service's A and AAAA records to the new address, with a TTL of 300. Do it now, because it takes time.",
  commands: ["dig +short A SERVER-NAME; dig +short AAAA SERVER-NAME"],
  expected: "only the new address",
  otherwise:
    "wait until the old TTL has passed; ask the zone's own name server: dig +short A SERVER-NAME @NAME-SERVER",
  time: "5 minutes, then up to the old TTL",
});

const bootstrap = ({ date, bootstrap }: RunbookFacts): Block => ({
  title: "Bootstrap",
  does: `This ${stepOf("bootstrap").does}. It needs no host. Sources: ${bootstrap.join(", ")}.`,
  commands: [
    `drops restore --date ${date} --only bootstrap --to extra/ ${READING}`,
    `nixos-anywhere --extra-files extra --flake FLAKE#NAME ${NEW}    # use the command that drops printed`,
  ],
  expected: stepOf("bootstrap").expected,
  otherwise: stepOf("bootstrap").otherwise,
  time: "15 minutes",
  noReturn: "nixos-anywhere erases the disks of the new machine",
});

const gate = ({ gate, units }: RunbookFacts): Block => ({
  title: "The gate",
  does: "A new machine starts its services without data: with a new signing key, open registration, and an empty bridge. The gate is a file that prevents this until the data is there. The restore creates it too; check it now, before anybody uses an empty server.",
  commands: [
    `ssh ${NEW} 'mkdir -p ${quote(gate.replace(/\/[^/]*$/, "") || "/")} && touch ${quote(gate)}'`,
    ...(units.length > 0
      ? [
          `ssh ${NEW} systemctl stop ${units.toReversed().map(quote).join(" ")}`,
          `ssh ${NEW} systemctl is-active ${units.map(quote).join(" ")}`,
        ]
      : []),
  ],
  expected: "inactive, once for every unit",
  otherwise: stepOf("stop").otherwise,
  time: "1 minute",
});

const restore = ({ date, rto }: RunbookFacts): Block => ({
  title: "Restore",
  does: "Look at the plan first, then restore. drops shows the snapshot, its age, and what will be lost. It asks before every change, and keeps the old data.",
  commands: [`drops snapshots ${READING}`],
  more: [
    text(
      "You see the snapshots with their dates. Choose the newest good one. Show the plan, which changes nothing:",
    ),
    commands(`drops restore --date ${date} --host ${NEW} --dry-run ${READING}`),
    text("You see each step with its commands, sizes and times. Run it:"),
    commands(`drops restore --date ${date} --host ${NEW} ${READING}`),
    text("Only after a crash, a reboot or a lost connection, continue it from any machine:"),
    commands(`drops restore --resume --host ${NEW} ${READING}`),
    text("Only to give up: return the machine to its state before the restore:"),
    commands(`drops rollback --host ${NEW}`),
    text("drops shows each step, asks, carries it out, checks it, and writes a journal. The steps:"),
    list(...STEPS.filter(({ id }) => id !== "bootstrap").map(stepInWords)),
  ],
  expected: "every step is done, all checks are ok, and you answered the checklist with yes",
  otherwise:
    "type the command that drops prints after the failure; --resume continues, rollback undoes everything. Exit 20: stored data is damaged; use another date, or run drops verify --read-data",
  time: `the goal is ${rto}; the dry run shows the time for this snapshot`,
});

const web = ({ units }: RunbookFacts): Block => ({
  title: "Certificates and the web server",
  does: "If the policy covers the certificates, they are restored. Their renewal needs DNS records that point to this machine.",
  commands: [
    `ssh ${NEW} systemctl status --no-pager ${units
      .filter((unit) => /^(nginx|caddy|httpd|apache2)/.test(unit))
      .map(quote)
      .join(" ")}`,
    `ssh ${NEW} systemctl list-timers --no-pager 'acme-*'`,
    "curl -sSI https://SERVER-NAME/",
  ],
  expected: "the web server is active, and curl prints an answer without a certificate error",
  otherwise:
    "read journalctl -u 'acme-*'. Order certificates again only when the DNS is right: authorities limit the number of orders",
  time: "5 minutes",
});

const federation = (): Block => ({
  title: "Federation tester",
  does: "Other servers must reach this one by its old name, with its old signing key.",
  commands: ["curl -s 'https://federationtester.matrix.org/api/federation-ok?server_name=SERVER-NAME'"],
  expected: "GOOD",
  otherwise:
    "open https://federationtester.matrix.org/#SERVER-NAME and see what is wrong: DNS, .well-known, certificate, or a new signing key. A new signing key means that the homeserver does not use the restored database",
  time: "5 minutes",
});

const slack = ({ bridgeUnits, checklist }: RunbookFacts): Block => ({
  title: "Slack",
  does: `This ${stepOf("login").does}.`,
  commands: [
    `ssh ${NEW} journalctl --no-pager -n 50 ${bridgeUnits.map((unit) => `-u ${quote(unit)}`).join(" ")}`,
  ],
  more: checklist.length > 0 ? [list(...checklist)] : [],
  expected: "the bridge logs that it is connected, and messages arrive in both directions",
  otherwise: `${stepOf("login").otherwise}. Exit status 16: the configuration and the database are of different dates. Never run -g`,
  time: "10 minutes",
});

const clients = (): Block => ({
  title: "Clients",
  does: "Clients remember messages newer than the backup, and one-time encryption keys repeat. They must sync again.",
  commands: [],
  more: [
    list(
      "Log in with a new session and open an encrypted room.",
      "In every old client, clear the cache, or log out and in again.",
      "Open a room of another server and look for new messages.",
    ),
  ],
  expected: "new and old clients show the rooms and can send",
  otherwise: "log in again; the client's key backup has the keys of encrypted rooms",
  time: "10 minutes for the first client",
});

const finish = ({ gate }: RunbookFacts): Block => ({
  title: "Remove the gate, and the old data",
  does: `The restore removed the gate when it started the services. Do this step only when everything above works: ${FINISH.does}.`,
  commands: [
    `ssh ${NEW} ls ${quote(gate)}    # prints: No such file`,
    `drops restore --finish --host ${NEW} ${READING}`,
  ],
  expected: FINISH.expected,
  otherwise: FINISH.otherwise,
  time: "2 minutes; you can wait a day or two with this",
  ...(FINISH.noReturn === undefined ? {} : { noReturn: FINISH.noReturn }),
});

const backup = ({ policy, rpo }: RunbookFacts): Block => ({
  title: "Run a backup",
  does: "The restored service has no backup yet. Put the new address and host key into the policy, run these commands, and enable the timer again.",
  commands: [
    `drops backup --policy ${quote(policy)}`,
    `drops verify --policy ${quote(policy)}`,
    `drops drill --policy ${quote(policy)} --identity recovery-identity.txt`,
  ],
  expected: "a complete snapshot, no damage, and a drill that passed",
  otherwise: "each failure has a hint with the next command; a partial snapshot lists the missing sources",
  time: `15 minutes; every ${rpo} from then on`,
});

function stepInWords({ number, id, title, expected, otherwise, noReturn }: RestoreStep): string {
  const end = noReturn === undefined ? "" : ` Point of no return: ${noReturn}.`;
  return `Step ${number}, ${id}: ${title}. Expected: ${expected}. If not: ${otherwise}.${end}`;
}
