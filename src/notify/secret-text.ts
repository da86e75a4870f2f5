import { DropsError } from "../lib/errors.ts";
import { readSecretFile } from "../lib/secret-file.ts";

/** An address from the policy or from a file, and what it carries of a login. Its path is a secret too. */
export interface Target {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

/** Throws notify/refused for a file that cannot be read, that others can read, or that holds no address. */
export async function readTarget(from: {
  readonly url?: string | undefined;
  readonly url_file?: string | undefined;
}): Promise<Target> {
  const file = from.url_file;
  const text =
    file === undefined ? from.url : firstLine(await readSecretFile(file, "address file", "notify/refused"));
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new DropsError("notify/refused", `${file ?? "url"} has no http or https address`, {
      hint: "write only the address, on one line",
    });
  }
  if (url.username === "" && url.password === "") return { url, headers: {} };
  const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = url.password = "";
  return { url, headers: { authorization: `Basic ${Buffer.from(login).toString("base64")}` } };
}

/** `Name: value` lines. Throws notify/refused, naming lines by number and never by what they hold. */
export async function readHeaders(file: string): Promise<Readonly<Record<string, string>>> {
  const headers: Record<string, string> = {};
  for (const [index, raw] of (await readSecretFile(file, "headers file", "notify/refused"))
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, name, value] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):\s*([\x20-\x7e]+)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new DropsError("notify/refused", `line ${index + 1} of ${file} is not Name: value`, {
        hint: "Authorization: Bearer …",
      });
    }
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

function firstLine(text: string): string | undefined {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .find((line) => line !== "" && !line.startsWith("#"));
}
