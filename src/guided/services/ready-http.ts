import { isIPv4 } from "node:net";
import type { Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";

const ANSWER_WITHIN_S = 10;

/**
 * Prints the status that an address answers. With what the host has: a freshly installed one may have neither curl
 * nor wget. Start-up files, proxies and redirections have no part in it. Certificates are not looked at: it is the host itself.
 */
const ASK = `
url=$1 name=$2 port=$3 path=$4 seconds=$5 header=$6
if command -v curl >/dev/null; then
  curl -q -sS -k -o /dev/null --noproxy '*' --max-time "$seconds" -w '%{http_code}\\n' -- "$url"
elif command -v wget >/dev/null; then
  wget --no-config -S -O /dev/null -T "$seconds" -t 1 --no-proxy --no-check-certificate --max-redirect=0 -- "$url" 2>&1 |
    sed -n 's/^ *HTTP\\/[0-9.]* \\([0-9][0-9][0-9]\\).*/\\1/p' | tail -n 1
elif command -v bash >/dev/null; then
  case $url in https:*) echo "neither curl nor wget is on this host, and bash speaks no TLS" >&2; exit 1 ;; esac
  bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit 1
    printf "GET %s HTTP/1.0\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n" "$3" "$5" >&3
    read -r -t "$4" _ status _ <&3 && printf "%s\\n" "$status"' ask "$name" "$port" "$path" "$seconds" "$header" 2>/dev/null
else
  echo "none of curl, wget and bash is on this host" >&2
  exit 1
fi
`;

/** An address that belongs to the host itself, in parts. */
export interface LoopbackUrl {
  readonly url: string;
  readonly name: string;
  /** For the header `Host`. */
  readonly host: string;
  readonly port: string;
  readonly path: string;
}

/**
 * Throws policy/invalid for what is not http(s) to a loopback address: the question is asked by root of the
 * host. Names are refused too, `localhost` among them: it may mean ::1 where a service listens on 127.0.0.1 only.
 */
export function loopbackUrl(text: string): LoopbackUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const name = (url?.hostname ?? "").replace(/^\[(.*)\]$/, "$1");
  const isLoopback = name === "::1" || (isIPv4(name) && name.startsWith("127."));
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    !isLoopback ||
    url.username + url.password !== ""
  )
    throw new DropsError("policy/invalid", `${text} is not an address of the host itself`, {
      hint: "ready.http: http://127.0.0.1:PORT/…",
    });
  url.hash = "";
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return { url: url.href, name, host: url.host, port, path: url.pathname + url.search };
}

/** What the address answers: `isReady` for 2xx. */
export async function askHttp(
  host: Host,
  { url, name, host: header, port, path }: LoopbackUrl,
  how: Cancel,
): Promise<{ readonly isReady: boolean; readonly found: string }> {
  const argv = ["sh", "-c", ASK, "drops-ask", url, name, port, path, String(ANSWER_WITHIN_S), header];
  const { stdout, stderr } = await host.run(argv, { ...how, okExits: ANY_EXIT, maxStdout: 64 * 1024 });
  const status = stdout.toString("latin1").trim();
  if (/^[1-9]\d\d$/.test(status))
    return { isReady: status.startsWith("2"), found: `${url} answers ${status}` };
  const why = stderr.split("\n")[0]?.slice(0, 200) ?? "";
  return { isReady: false, found: `${url} does not answer${why === "" ? "" : ` (${why})`}` };
}
