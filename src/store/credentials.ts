import { DropsError } from "../lib/errors.ts";
import { readSecretFile } from "../lib/secret-file.ts";

/** Who asks an S3 server. Never printed, and in no error. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

type Variables = Readonly<Record<string, string | undefined>>;

const LINE = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/;

/**
 * From `file` when one is named, else from `env`: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for credentials that
 * expire, AWS_SESSION_TOKEN. The file holds `NAME=value` lines as systemd's EnvironmentFile and a shell read them:
 * `export ` before and quotes around are allowed, `#` begins a comment line.
 *
 * Throws key/missing when there is none, key/wrong when other users can read the file: see `readSecretFile`.
 */
export async function readCredentials(from: {
  readonly file?: string | undefined;
  readonly env: Variables;
}): Promise<S3Credentials> {
  const origin = from.file ?? "the environment";
  const variables =
    from.file === undefined
      ? from.env
      : parseVariables(await readSecretFile(from.file, "credentials file"), from.file);
  return {
    accessKeyId: wanted("AWS_ACCESS_KEY_ID", variables, origin),
    secretAccessKey: wanted("AWS_SECRET_ACCESS_KEY", variables, origin),
    ...(variables["AWS_SESSION_TOKEN"] ? { sessionToken: variables["AWS_SESSION_TOKEN"] } : {}),
  };
}

function wanted(name: string, variables: Variables, origin: string): string {
  const value = variables[name]?.trim();
  // A header cannot hold anything else, and the error for trying would quote the value.
  if (value !== undefined && /^[\x21-\x7e]+$/.test(value)) return value;
  if (value) {
    throw new DropsError("key/wrong", `${name} in ${origin} has characters that are not allowed in a key`, {
      hint: `write ${name} again, as the provider showed it`,
    });
  }
  throw new DropsError("key/missing", `${name} is not in ${origin}`, {
    hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a credentials_file in the policy",
  });
}

/** Exported for its tests. Names lines by number, never by what they hold. */
export function parseVariables(text: string, origin: string): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const match = LINE.exec(line);
    if (!match?.[1]) {
      throw new DropsError("key/wrong", `line ${index + 1} of ${origin} is not NAME=value`, {
        hint: "write AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=… on lines of their own",
      });
    }
    variables[match[1]] = unquoted(match[2] ?? "");
  }
  return variables;
}

function unquoted(value: string): string {
  return /^(["']).*\1$/.test(value) && value.length > 1 ? value.slice(1, -1) : value;
}
