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
    ...(block.commands.length > 0 ? [commands(...block.commands)] : []),
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
  does: `Two bridges share one Slack connection's events, and two homeservers federate under one name. Switch the old machine off at its provider; where that cannot be done, stop its services for good.`,
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
  does: `Order one with the same architecture, at least the same memory and twice the disk that the data needs: the restored data lies beside the old until you finish.${sources.length > 0 ? " What will come back:" : ""}`,
  commands: [`ssh-keyscan -t ed25519 NEW-ADDRESS    # compare with what the provider's console shows`],
  more:
    sources.length > 0
      ? [facts(...sources.map(({ name, kind, what }) => [name, `${kind}: ${what}`] as const))]
      : [],
  expected: "it answers over SSH, and the key is the one on its console",
  otherwise: "another region or provider: nothing below depends on it",
  time: "10 to 30 minutes",
});

const dns = (): Block => ({
  title: "DNS",
  does: "Point the service's A and AAAA records at the new address, with a TTL of 300, now: it takes its time while you work.",
  commands: ["dig +short A SERVER-NAME; dig +short AAAA SERVER-NAME"],
  expected: "the new address, and no trace of the old one",
  otherwise:
    "wait for the old TTL; ask the name server of the zone itself: dig +short A SERVER-NAME @NAME-SERVER",
  time: "5 minutes, and up to the old TTL until everybody knows",
});

const bootstrap = ({ date, bootstrap }: RunbookFacts): Block => ({
  title: "Bootstrap",
  does: `Needs no host: ${stepOf("bootstrap").does}. Here: ${bootstrap.join(", ")}.`,
  commands: [
    `drops restore --date ${date} --only bootstrap --to extra/ ${READING}`,
    `nixos-anywhere --extra-files extra --flake FLAKE#NAME ${NEW}    # as the command above prints it`,
  ],
  expected: stepOf("bootstrap").expected,
  otherwise: stepOf("bootstrap").otherwise,
  time: "15 minutes",
  noReturn: "nixos-anywhere erases the disks of the machine that it is given",
});

const gate = ({ gate, units }: RunbookFacts): Block => ({
  title: "The gate",
  does: "A freshly deployed machine starts its services empty: a new signing key, open registration, an empty bridge that registers. The gate keeps them from starting until their data is there. The restore closes it too; look now, before anybody talks to an empty server.",
  commands: [
    `ssh ${NEW} 'mkdir -p ${quote(gate.replace(/\/[^/]*$/, "") || "/")} && touch ${quote(gate)}'`,
    ...(units.length > 0
      ? [
          `ssh ${NEW} systemctl stop ${units.toReversed().map(quote).join(" ")}`,
          `ssh ${NEW} systemctl is-active ${units.map(quote).join(" ")}`,
        ]
      : []),
  ],
  expected: "inactive, for every unit",
  otherwise: stepOf("stop").otherwise,
  time: "1 minute",
});

const restore = ({ date, rto }: RunbookFacts): Block => ({
  title: "Restore",
  does: "Look at the plan, then let it go step by step. It names the snapshot that it picked, its age, and what was made after it and is lost, and asks before every change. Old data is kept aside.",
  commands: [
    `drops snapshots ${READING}`,
    `drops restore --date ${date} --host ${NEW} --dry-run ${READING}`,
    `drops restore --date ${date} --host ${NEW} ${READING}`,
    `drops restore --resume --host ${NEW} ${READING}    # after a crash, a reboot or a lost connection, from any machine`,
    `drops rollback --host ${NEW}    # puts the machine back as it was before`,
  ],
  more: [
    text("Its steps, each planned, shown, confirmed, carried out, checked and kept in a journal:"),
    list(...STEPS.filter(({ id }) => id !== "bootstrap").map(stepInWords)),
  ],
  expected: "every step says done; at its end the checks are ok and you answered the checklist",
  otherwise:
    "every failure says what to type next; --resume goes on, rollback puts all back. Exit 20: something is damaged in the store: another date, or drops verify --read-data",
  time: `the objective is ${rto}; the dry run says how long this snapshot takes`,
});

const web = ({ units }: RunbookFacts): Block => ({
  title: "Certificates and the web server",
  does: "The certificates came back with the data where the policy holds them. Renewal needs the DNS to point here.",
  commands: [
    `ssh ${NEW} systemctl status --no-pager ${units
      .filter((unit) => /^(nginx|caddy|httpd|apache2)/.test(unit))
      .map(quote)
      .join(" ")}`,
    `ssh ${NEW} systemctl list-timers --no-pager 'acme-*'`,
    "curl -sSI https://SERVER-NAME/",
  ],
  expected: "the web server is active, and curl shows an answer without a certificate error",
  otherwise:
    "journalctl -u 'acme-*': wait until the DNS is right before ordering again, authorities limit how often",
  time: "5 minutes",
});

const federation = (): Block => ({
  title: "Federation tester",
  does: "Other servers must reach this one under its old name, with its old signing key.",
  commands: ["curl -s 'https://federationtester.matrix.org/api/federation-ok?server_name=SERVER-NAME'"],
  expected: "GOOD",
  otherwise:
    "the page https://federationtester.matrix.org/#SERVER-NAME names what is wrong: DNS, .well-known, certificate, or a new signing key, which means that the homeserver's database is not the restored one",
  time: "5 minutes",
});

const slack = ({ bridgeUnits, checklist }: RunbookFacts): Block => ({
  title: "Slack",
  does: `${stepOf("login").does[0]?.toUpperCase()}${stepOf("login").does.slice(1)}.`,
  commands: [
    `ssh ${NEW} journalctl --no-pager -n 50 ${bridgeUnits.map((unit) => `-u ${quote(unit)}`).join(" ")}`,
  ],
  more: checklist.length > 0 ? [list(...checklist)] : [],
  expected: "the bridge says that it is connected, and a message arrives in both directions",
  otherwise: `${stepOf("login").otherwise}. Exit status 16: configuration and database are not of one date. Never run -g`,
  time: "10 minutes",
});

const clients = (): Block => ({
  title: "Clients",
  does: "Clients hold positions from the future that went away, and one-time keys repeat.",
  commands: [],
  more: [
    list(
      "Log in with a new session and open an encrypted room.",
      "In every known client clear the cache, or log out and in again.",
      "Open a room of another server and look for new messages.",
    ),
  ],
  expected: "new and known clients show the rooms and send",
  otherwise: "log in again; keys of encrypted rooms come back from the client's key backup",
  time: "10 minutes for the first, the rest as people come",
});

const finish = ({ gate }: RunbookFacts): Block => ({
  title: "Remove the gate, and the old data",
  does: `The restore removed the gate when it started the services. When everything above is well, ${FINISH.does}.`,
  commands: [
    `ssh ${NEW} ls ${quote(gate)}    # No such file`,
    `drops restore --finish --host ${NEW} ${READING}`,
  ],
  expected: FINISH.expected,
  otherwise: FINISH.otherwise,
  time: "2 minutes; a day or two later is a good time too",
  ...(FINISH.noReturn === undefined ? {} : { noReturn: FINISH.noReturn }),
});

const backup = ({ policy, rpo }: RunbookFacts): Block => ({
  title: "Run a backup",
  does: "Only now is there a way back to today. Put the new address and host key into the policy first; the timer must be active again.",
  commands: [
    `drops backup --policy ${quote(policy)}`,
    `drops verify --policy ${quote(policy)}`,
    `drops drill --policy ${quote(policy)} --identity recovery-identity.txt`,
  ],
  expected: "a complete snapshot, nothing damaged, a drill that passed",
  otherwise: "what failed says what to do; a partial snapshot names what it lacks",
  time: `15 minutes; every ${rpo} from then on`,
});

function stepInWords({ number, id, title, expected, otherwise, noReturn }: RestoreStep): string {
  const end = noReturn === undefined ? "" : ` Point of no return: ${noReturn}.`;
  return `Step ${number}, ${id}: ${title}. Expected: ${expected}. If not: ${otherwise}.${end}`;
}
