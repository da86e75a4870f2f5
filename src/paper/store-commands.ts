import { quote } from "../host/quote.ts";
import type { StorePolicy } from "../policy/schema.ts";
import { recoveryPrefix } from "../store/keys.ts";
import { type Signers, signerLines } from "../trust/signers-file.ts";

/** Where a policy's snapshots lie, and whom to believe: what every command of a recovery needs. */
export interface RecoveryPlace extends Signers {
  readonly store: StorePolicy;
  /** Its name. */
  readonly policy: string;
  /** SHA-256 of recover.sh, which is its name in the store. */
  readonly script: string;
}

/** The address as it can be typed from paper: nothing is percent-encoded that need not be. `parseStoreUrl` reads it. */
export function typedStoreUrl(store: StorePolicy): string {
  if ("directory" in store) return store.directory;
  const { bucket, prefix, endpoint, region, path_style, ca_file } = store.s3;
  const parameters = [
    ...(endpoint === undefined ? [] : [["endpoint", endpoint]]),
    ["region", region],
    ...(path_style ? [] : [["path_style", "false"]]),
    ...(ca_file === undefined ? [] : [["ca_file", ca_file]]),
  ];
  const query = parameters.map(
    ([name, value]) =>
      `${name}=${encodeURIComponent(value ?? "")
        .replaceAll("%2F", "/")
        .replaceAll("%3A", ":")}`,
  );
  return `s3://${bucket}/${prefix}?${query.join("&")}`;
}

/** What is typed first, once: the shell keeps it for all that follows. */
export function settingUp(place: RecoveryPlace): string[] {
  const { store } = place;
  return [
    `STORE=${quoted(typedStoreUrl(store))}`,
    ...namingSigners(place),
    ...("directory" in store ? [] : CREDENTIALS),
  ];
}

/** Whether there is more to say of whom to believe than one key: then `$SIGNER` is a file. */
export function needsSignersFile({ signers, revoked }: Signers): boolean {
  return signers.length !== 1 || revoked.length > 0;
}

/** One key is given as it is. Of several a file is made, which drops and recover.sh read alike. */
function namingSigners(believed: Signers): string[] {
  const lines = signerLines(believed).map(quoted);
  if (!needsSignersFile(believed)) return [`SIGNER=${lines.join("")}`];
  return [
    `printf '%s\\n' > ${SIGNERS_FILE} \\`,
    ...lines.map((line, index) => `  ${line}${index < lines.length - 1 ? " \\" : ""}`),
    `SIGNER=${SIGNERS_FILE}`,
  ];
}

const SIGNERS_FILE = "signers.txt";

/** Asked, so that they are neither in the shell's history nor in the list of processes. */
const CREDENTIALS = [
  "read -rp 'access key id: ' AWS_ACCESS_KEY_ID; read -rsp 'secret access key: ' AWS_SECRET_ACCESS_KEY",
  "export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY",
];

/** Options of drops that take the place of a policy file. */
export const READING = '--store "$STORE" --identity recovery-identity.txt --trusted-signer "$SIGNER"';

/** After `settingUp`: recover.sh is brought, compared and run. */
export function withoutDrops(place: RecoveryPlace, date: string): string[] {
  const { store, policy, script } = place;
  const run = `${policy} ${date} recovery-identity.txt "$SIGNER" ./restored`;
  if ("directory" in store) {
    const file = quote(`${store.directory}/${recoveryPrefix}${script}.sh`);
    return [
      `cp ${file} recover.sh`,
      `echo '${script}  recover.sh' | sha256sum -c \\`,
      `  && bash recover.sh ${quote(store.directory)} ${run}`,
    ];
  }
  const { bucket, prefix, region, path_style, ca_file } = store.s3;
  const endpoint = (store.s3.endpoint ?? `https://s3.${region}.amazonaws.com`).replace(/\/+$/, "");
  const [scheme = "", host = ""] = endpoint.split("://");
  const base = path_style ? `${endpoint}/${bucket}` : `${scheme}://${bucket}.${host}`;
  const options = [
    ...(store.s3.endpoint === undefined ? [] : ["--endpoint", endpoint]),
    ...["--region", region],
    ...(ca_file === undefined ? [] : ["--ca-file", ca_file]),
    ...(path_style ? [] : ["--virtual-host"]),
  ];
  return [
    `SCRIPT=${script}`,
    `printf 'user = "%s:%s"\\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" | curl -q -K - -f -o recover.sh \\`,
    `  --aws-sigv4 aws:amz:${region}:s3 -H x-amz-content-sha256:UNSIGNED-PAYLOAD${ca_file === undefined ? "" : ` --cacert ${quote(ca_file)}`} \\`,
    `  "${base}/${prefix}/${recoveryPrefix}$SCRIPT.sh"`,
    `echo "$SCRIPT  recover.sh" | sha256sum -c \\`,
    `  && bash recover.sh ${options.map(quote).join(" ")} \\`,
    `  s3://${bucket}/${prefix} ${run}`,
  ];
}

/** In quotes whatever it holds: it is typed from paper. */
function quoted(words: string): string {
  return `'${words.replaceAll("'", "'\\''")}'`;
}
