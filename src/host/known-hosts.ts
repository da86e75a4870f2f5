import { createHmac, hash } from "node:crypto";
import { matchesGlob } from "../lib/glob.ts";

/** One line of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */
export interface KnownHost {
  readonly marker: "@revoked" | "@cert-authority" | undefined;
  readonly patterns: string;
  readonly type: string;
  /** The public key as it travels, in base64. */
  readonly key: string;
}

/** What the files say of a host and the key that it shows; `certified`: nothing but who certifies its keys, which is not read. */
export type KeyVerdict = "known" | "changed" | "unknown" | "revoked" | "certified";

/** Read known_hosts text; what is no key line is passed over, as OpenSSH does. */
export function parseKnownHosts(text: string): readonly KnownHost[] {
  const found: KnownHost[] = [];
  for (const line of text.split("\n")) {
    const words = line.trim().split(/[ \t]+/);
    const marker = words[0]?.startsWith("@") ? words.shift() : undefined;
    const [patterns, type, key] = words;
    if (patterns === undefined || type === undefined || key === undefined || patterns.startsWith("#"))
      continue;
    if (marker === undefined || marker === "@revoked" || marker === "@cert-authority") {
      found.push({ marker, patterns, type, key });
    }
  }
  return found;
}

/** Judge the key (as it travels, RFC 4253 6.6) that a host showed. A host with several keys may show any of them. */
export function judgeKey(
  lines: readonly KnownHost[],
  host: { readonly address: string; readonly port: number },
  key: Uint8Array,
): KeyVerdict {
  const shown = Buffer.from(key).toString("base64");
  const marked = (marker: KnownHost["marker"]) => lines.filter((line) => line.marker === marker);
  if (marked("@revoked").some((line) => line.key === shown && matches(line, host))) return "revoked";
  const trusted = marked(undefined);
  const here = trusted.filter((line) => matches(line, host));
  if (here.some((line) => line.key === shown)) return "known";
  if (here.length > 0) return "changed";
  // as OpenSSH: a key that is known for the name alone is good on another port too
  const anyPort = { address: host.address, port: DEFAULT_PORT };
  if (trusted.some((line) => line.key === shown && matches(line, anyPort))) return "known";
  const authorities = marked("@cert-authority");
  return authorities.some((line) => matches(line, host) || matches(line, anyPort)) ? "certified" : "unknown";
}

/** The types of the keys known for a host, to ask it for one of these: it may have others that nobody has seen. */
export function knownTypes(
  lines: readonly KnownHost[],
  host: { readonly address: string; readonly port: number },
): readonly string[] {
  const anyPort = { address: host.address, port: DEFAULT_PORT };
  const here = lines.filter(
    (line) => line.marker === undefined && (matches(line, host) || matches(line, anyPort)),
  );
  return [...new Set(here.map((line) => line.type))];
}

/** The fingerprint that OpenSSH shows: `SHA256:` and unpadded base64. */
export function fingerprint(key: Uint8Array): string {
  return `SHA256:${hash("sha256", key, "base64").replace(/=+$/, "")}`;
}

/** The name of a host as known_hosts has it: `example.org`, `[example.org]:2222`. */
export function hostName(host: { readonly address: string; readonly port: number }): string {
  const address = host.address.toLowerCase();
  return host.port === DEFAULT_PORT ? address : `[${address}]:${host.port}`;
}

const DEFAULT_PORT = 22;

function matches(line: KnownHost, host: { readonly address: string; readonly port: number }): boolean {
  const name = hostName(host);
  if (line.patterns.startsWith("|")) return matchesHash(line.patterns, name);
  let found = false;
  for (const pattern of line.patterns.toLowerCase().split(",")) {
    const negated = pattern.startsWith("!");
    if (!matchesGlob(name, negated ? pattern.slice(1) : pattern)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

/** `|1|salt|HMAC-SHA1 of the name|`, both base64. */
function matchesHash(hashed: string, name: string): boolean {
  const [, version, salt = "", wanted] = hashed.split("|");
  if (version !== "1") return false;
  return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === wanted;
}
