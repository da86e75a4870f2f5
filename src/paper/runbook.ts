import { bareHands, withoutDropsSection } from "./bare-hands.ts";
import { runbookSections } from "./blocks.ts";
import { commands, facts, list, type PaperDocument, type Section, text } from "./document.ts";
import type { RunbookFacts } from "./runbook-facts.ts";
import { signerRows } from "./signer-rows.ts";
import { READING, settingUp, typedStoreUrl } from "./store-commands.ts";
import { variants } from "./variants.ts";

/**
 * The worst day, for a person: page one, the numbered blocks, the variants, and the way that needs no drops. Holds no secret.
 * What it says of the steps is what the guided restore itself says (guided/steps.ts). Pure.
 */
export function runbook(about: RunbookFacts): PaperDocument {
  return {
    title: about.policy === "POLICY" ? "Recovery" : `Recovery of ${about.policy}`,
    subtitle:
      about.policy === "POLICY"
        ? "For every policy; words in capitals are to be replaced. drops runbook --policy FILE prints the same for yours. Print it, and keep it off the server and in the bucket."
        : "Print it, and keep it off the server and in the bucket. It holds no secret: the recovery sheet does.",
    sections: [
      ...pageOne(about),
      ...runbookSections(about),
      ...variants(about),
      withoutDropsSection(about),
      bareHands(about),
    ],
  };
}

function pageOne(about: RunbookFacts): Section[] {
  return [
    {
      title: "Am I in the right place?",
      pieces: [
        list(
          "The machine is gone, or its data is: all of this, in order.",
          "One database or one directory is wrong, and the machine runs: “One part only” below.",
          "An upgrade went wrong: “A bad upgrade” below.",
          "Somebody else was on the machine: “A break-in” below, before anything else.",
          "It only does not answer: look at the provider's console first. A restore goes back in time.",
        ),
      ],
    },
    {
      title: "What you must hold",
      pieces: [
        facts(
          ["recovery sheet", "on paper: holds all of the following"],
          ["recovery identity", "a file recovery-identity.txt with a line AGE-SECRET-KEY-…"],
          ...signerRows(about),
          ["store", typedStoreUrl(about.store)],
          ["read credential", "an access key that may list and read the bucket, or the login to make one"],
          ["accounts", "provider of the server, DNS, registrar"],
          ["drops, or recover.sh", `SHA-256 of recover.sh: ${about.script}`],
        ),
      ],
    },
    {
      title: "First, stop the bleeding",
      pieces: [
        list(
          "Do not delete, prune or overwrite anything in the store.",
          "Do not start the bridge or the homeserver twice: nothing starts anywhere until the old machine is fenced.",
          "Do not generate a registration (-g): it makes other tokens than the ones in the homeserver's database.",
          "Do not change the disk of the old machine. Take a snapshot of it at the provider if there is one to take.",
          "Write down the time, and what you saw.",
        ),
      ],
    },
    {
      title: "Set up",
      pieces: [
        text(
          "On any machine with drops, in bash, beside recovery-identity.txt. No policy file is needed: it lies in every snapshot, and so does the runbook of its policy. Where the sheet names several signers, its block 5 makes the file signers.txt of them, and SIGNER is the name of that file.",
        ),
        commands(...settingUp(about), `drops snapshots ${READING}`),
        facts(
          [
            "expected",
            "a list of snapshots, complete and trusted; a record whose signature is not trusted may come from anyone",
          ],
          [
            "if not",
            "exit 10: bucket, prefix or policy is wrong. 11: endpoint or credential. 13: another identity or signer than this repository's",
          ],
        ),
      ],
    },
  ];
}
