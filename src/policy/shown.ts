/** Fields whose values may be all that someone needs to use a service in our name. */
const CAPABILITIES = ["url", "fields"];
const HIDDEN = "(hidden)";

/**
 * A policy as it may be shown, logged and pasted: credentials in addresses are replaced, of addresses that are secrets
 * themselves (a webhook's `url`) only the server is left. Files that hold secrets are named, never read. Pure.
 */
export function withoutSecrets<Value>(value: Value): Value {
  return without(value, false) as Value;
}

function without(value: unknown, isCapability: boolean): unknown {
  if (typeof value === "string") return isCapability ? serverOnly(value) : withoutLogin(value);
  if (Array.isArray(value)) return value.map((each) => without(each, isCapability));
  if (typeof value !== "object" || value === null) return isCapability ? HIDDEN : value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      without(each, isCapability || CAPABILITIES.includes(key)),
    ]),
  );
}

function serverOnly(text: string): string {
  return URL.canParse(text) && /^https?:/i.test(text) ? `${new URL(text).origin}/${HIDDEN}` : HIDDEN;
}

/** What stands before an `@` in an address, wherever in the text. */
function withoutLogin(text: string): string {
  return text.replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, `$1${HIDDEN}@`);
}
