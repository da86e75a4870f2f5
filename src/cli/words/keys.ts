import { inBytes } from "../../lib/units.ts";
import { counted } from "../../lib/words.ts";
import type { KeysReport, NamedKey, SealedSet, SignerUse } from "../../verify/keys-report.ts";
import type { Paint, Room } from "../screen.ts";
import { notes, table, when } from "./format.ts";

const ROLES: Readonly<Record<NamedKey["role"], string>> = {
  "recovery-recipient": "opens everything",
  "metadata-recipient": "opens lists of files",
  "signing-key": "signs snapshots here",
  "trusted-signer": "trusted for snapshots",
  "revoked-signer": "revoked, trusted before",
  "prune-signing-key": "signs marks and pins here",
  "prune-trusted-signer": "trusted for marks and pins",
  "drill-signer": "trusted for drills",
};

export function keysInWords(report: KeysReport, paint: Paint): string {
  const { named, sealedTo, signers, notBelieved } = report;
  const parts = [
    ...(named.length === 0
      ? []
      : [paint.bold("Keys of the policy"), namedTable(named, report.zone, paint), ""]),
    paint.bold("Stored data is sealed to"),
    sealedTo.length === 0 ? "nothing is stored" : setTable(sealedTo, report.zone, paint),
    ...retired(sealedTo),
    "",
    paint.bold("Snapshots are signed by"),
    signers.length === 0 ? "no trusted key" : signerTable(signers, report.zone, paint),
    ...(notBelieved === 0 ? [] : [`${counted(notBelieved, "record")} not trusted`]),
    "",
    `${report.policy} in ${report.store}`,
    ...notes(report.notes),
  ];
  return parts.join("\n");
}

function namedTable(named: readonly NamedKey[], zone: string, { width }: Room): string {
  const rows = named.map(({ role, key, fingerprint, before, file }) => [
    before === undefined ? ROLES[role] : `${ROLES[role]} ${when(before, zone)}`,
    fingerprint ?? key ?? "not here",
    file ?? "",
  ]);
  return table(["what it does", "public key", "file"], rows, { width });
}

function setTable(sets: readonly SealedSet[], zone: string, { width }: Room): string {
  const rows = sets.map((set) => [
    `${set.recipients?.slice(0, 12) ?? "unknown"}${set.current ? " (the policy's)" : ""}`,
    set.snapshots.toLocaleString("en"),
    set.sources.toLocaleString("en"),
    set.packs.toLocaleString("en"),
    inBytes(set.bytes),
    `${(set.share * 100).toFixed()}%`,
    when(set.oldest, zone),
    when(set.newest, zone),
  ]);
  const numbers = ["snapshots", "sources", "packs", "size", "share"];
  return table(["recipients", ...numbers, "first", "last"], rows, { right: numbers, width });
}

/** Others than the policy's recipients are needed as long as something is sealed to them. */
function retired(sets: readonly SealedSet[]): string[] {
  const others = sets.filter(({ current }) => current === false);
  if (others.length === 0) return [];
  const are = others.length === 1 ? "One set is" : `${others.length} sets are`;
  return [`${are} not the policy's: keep the identities that open it as long as its snapshots are kept.`];
}

function signerTable(signers: readonly SignerUse[], zone: string, { width }: Room): string {
  const rows = signers.map((signer) => [
    `${signer.fingerprint}${signer.current ? " (signs here)" : ""}`,
    signer.snapshots.toLocaleString("en"),
    when(signer.oldest, zone),
    when(signer.newest, zone),
  ]);
  return table(["key", "snapshots", "first", "last"], rows, { right: ["snapshots"], width });
}
