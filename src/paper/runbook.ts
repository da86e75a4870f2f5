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
        ? "Follow the numbered steps in order. Replace the words in capitals. drops runbook --policy FILE prints this page with the names of your policy. Print it, and keep a copy off the server and in the bucket."
        : "Follow the numbered steps in order. Print this page, and keep a copy off the server and in the bucket. It contains no secrets; the recovery sheet does.",
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
          "The machine or its data is lost: do steps 1 to the end, in order.",
          "The machine runs, but one database or directory is wrong: go to “One part only”.",
          "An upgrade failed: go to “A bad upgrade”.",
          "Somebody broke into the machine: go to “A break-in” first.",
          "The machine only does not answer: look at the provider's console first. A restore loses everything newer than the backup.",
        ),
      ],
    },
    {
      title: "What you need",
      pieces: [
        facts(
          ["recovery sheet", "on paper; it has everything below"],
          ["recovery identity", "the file recovery-identity.txt, with a line AGE-SECRET-KEY-…"],
          ...signerRows(about),
          ["store", typedStoreUrl(about.store)],
          ["read credential", "an access key that may list and read the bucket, or a login to create one"],
          ["accounts", "logins of the server provider, DNS and registrar"],
          ["drops, or recover.sh", `SHA-256 of recover.sh: ${about.script}`],
        ),
      ],
    },
    {
      title: "First, prevent more damage",
      pieces: [
        list(
          "Do not delete, prune or overwrite anything in the store.",
          "Do not run the bridge or the homeserver on two machines. Start nothing before the old machine is off (step 1).",
          "Do not generate a registration (-g). Its new tokens would not match the homeserver's database.",
          "Do not change the disk of the old machine. Take a snapshot of it at the provider if you can.",
          "Write down the time and what you saw.",
        ),
      ],
    },
    {
      title: "Set up",
      pieces: [
        text(
          "Use any machine with drops, and bash. Work in the directory that contains recovery-identity.txt. You need no policy file: every snapshot contains it, with the runbook of that policy. If the sheet lists several signers, type its block 5: it writes them to signers.txt, and SIGNER is the name of that file.",
        ),
        commands(...settingUp(about), `drops snapshots ${READING}`),
        facts(
          [
            "expected",
            "a list of complete, trusted snapshots. Do not use one whose signature is not trusted: anyone may have written it",
          ],
          [
            "if not",
            "exit 10: check bucket, prefix and policy. Exit 11: check endpoint and credential. Exit 13: the identity or signer belongs to another repository",
          ],
        ),
      ],
    },
  ];
}
