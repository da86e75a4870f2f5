/** The names of objects in a repository (docs/format.md). Built here and nowhere else. */
export const REPOSITORY_KEY = "repository.json";
export const REPOSITORY_SIGNATURE_KEY = "repository.json.sig";

const HASH = /^[0-9a-f]{64}$/;
const RECORD_NAME = /^(\d{8}T\d{6}Z)-([0-9a-f]{8,32})\.json$/;
const SAFE_KEY = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;

/** Whether this is a SHA-256 in lower-case hex, as objects are named. */
export function isHash(text: string): boolean {
  return HASH.test(text);
}

/** Only plain segments, none of them `.` or `..`: such a key can be joined to any directory or prefix. */
export function isSafeKey(key: string): boolean {
  return (
    key.length <= 512 && SAFE_KEY.test(key) && !key.split("/").some((part) => part === "." || part === "..")
  );
}

export const recoveryPrefix = "recovery/";
export const snapshotsPrefix = (policy: string): string => `${policy}/snapshots/`;
export const manifestsPrefix = (policy: string): string => `${policy}/manifests/`;
export const listsPrefix = (policy: string): string => `${policy}/lists/`;
export const packsPrefix = (policy: string): string => `${policy}/packs/`;
export const evidencePrefix = (policy: string): string => `${policy}/evidence/`;
export const findingsPrefix = (policy: string): string => `${policy}/doctor/`;
export const damagedPrefix = (policy: string): string => `${policy}/damaged/`;
export const condemnedPrefix = (policy: string): string => `${policy}/condemned/`;
export const pinsPrefix = (policy: string): string => `${policy}/pins/`;
export const withdrawnPrefix = (policy: string): string => `${policy}/withdrawn/`;

/** `time` as 20261123T023000Z. */
export const recordKey = (policy: string, time: string, id: string): string =>
  `${snapshotsPrefix(policy)}${time}-${id}.json`;
export const manifestKey = (policy: string, sha256: string): string =>
  `${manifestsPrefix(policy)}${hash(sha256)}`;
export const listKey = (policy: string, sha256: string): string => `${listsPrefix(policy)}${hash(sha256)}`;
export const packKey = (policy: string, sha256: string): string =>
  `${packsPrefix(policy)}${hash(sha256).slice(0, 2)}/${sha256}`;
export const evidenceKey = (policy: string, time: string, id: string): string =>
  `${evidencePrefix(policy)}${time}-${id}.json`;
/** Of a verify: told from a drill's by its name, so that nobody reads one to find out. */
export const verifyEvidenceKey = (policy: string, time: string, id: string): string =>
  `${evidencePrefix(policy)}${time}-${id}.verify.json`;
/** `sha256` names the object that was found damaged. */
export const damagedKey = (policy: string, sha256: string): string =>
  `${damagedPrefix(policy)}${hash(sha256)}.json`;
/** `time` as in a record's key. */
export const findingKey = (policy: string, time: string, id: string): string =>
  `${findingsPrefix(policy)}${time}-${id}.json`;
/** `time` as in a record's key. */
export const markKey = (policy: string, time: string, id: string): string =>
  `${condemnedPrefix(policy)}${time}-${id}.json`;
export const pinKey = (policy: string, snapshot: string): string => `${pinsPrefix(policy)}${snapshot}.json`;
export const withdrawnKey = (policy: string, snapshot: string): string =>
  `${withdrawnPrefix(policy)}${snapshot}.json`;
export const signatureKey = (key: string): string => `${key}.sig`;

/** The time and id in a record's key, or undefined when this is not the key of a record of `policy`. */
export function parseRecordKey(policy: string, key: string): { time: string; id: string } | undefined {
  const prefix = snapshotsPrefix(policy);
  if (!key.startsWith(prefix)) return undefined;
  const match = RECORD_NAME.exec(key.slice(prefix.length));
  return match?.[1] && match[2] ? { time: match[1], id: match[2] } : undefined;
}

/** `2026-11-23T02:30:00.123Z` as `20261123T023000Z`. */
export function keyTime(at: Date): string {
  return `${at.toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

function hash(sha256: string): string {
  if (!isHash(sha256)) throw new TypeError(`not a SHA-256 in lower-case hex: ${sha256.slice(0, 80)}`);
  return sha256;
}
