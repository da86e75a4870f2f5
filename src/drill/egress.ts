import type { Host } from "../host/host.ts";
import { ANY_EXIT } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";

/** Somewhere outside, by address: a name would need a resolver to fail for the right reason. */
export interface OutsidePlace {
  readonly address: string;
  readonly port: number;
}

/** Well-known resolvers of three operators, which answer everywhere: both families, and the ports of the web and of DNS. */
export const OUTSIDE: readonly OutsidePlace[] = [
  { address: "1.1.1.1", port: 443 },
  { address: "9.9.9.9", port: 443 },
  { address: "8.8.8.8", port: 53 },
  { address: "2606:4700:4700::1111", port: 443 },
  { address: "2620:fe::fe", port: 443 },
];

const WITHIN_SECONDS = 4;
const NUMERIC = /^[0-9A-Fa-f:.]+$/;

/**
 * Prove that a machine cannot reach the outside: what is restored there would take part in federation and read the bridge's
 * messages. A probe that fails proves nothing by itself, so the same probe must reach the machine's own SSH server first.
 *
 * @param outside beside well-known places, for instance the machine that was backed up; numeric addresses
 * @throws DropsError safety/refused naming what answered, or that the probe does not work there
 */
export async function requireNoEgress(
  host: Host,
  how: Cancel & { readonly outside?: readonly OutsidePlace[] },
): Promise<string> {
  const places = how.outside ?? OUTSIDE;
  const wrong = places.find(({ address }) => !NUMERIC.test(address));
  if (wrong) throw new TypeError(`not a numeric address: ${wrong.address}`);
  const words = places.flatMap(({ address, port }) => [address, String(port)]);
  const argv = ["sh", "-c", PROBE, "drops-egress", String(WITHIN_SECONDS), ...words];
  const ran = await host.run(argv, { signal: how.signal, okExits: ANY_EXIT, maxStdout: 64 * 1024 });
  const said = ran.stdout.toString().split("\n");
  const tool = said.find((line) => line.startsWith("tool "))?.slice("tool ".length);
  if (ran.exit !== 0 || tool === undefined || !said.includes("control ok") || !said.includes("end")) {
    throw refused(
      `${host.label} could not be shown to be cut off: no probe works there that reaches its own SSH server`,
      "install bash, nc or python3 there; reach it over SSH",
    );
  }
  const open = said.filter((line) => line.startsWith("open ")).map((line) => line.slice("open ".length));
  if (open.length > 0) {
    throw refused(
      `${host.label} reaches the outside (${open.join(", ")}): services that are started there would take part in real life`,
      "take its network away: no default route, or a firewall that drops everything but this SSH connection",
    );
  }
  return `${tool} reaches the machine's own SSH server and none of ${places.length} places outside`;
}

/**
 * Arguments: seconds, then pairs of address and port. The control is the server's end of this SSH connection. It says
 * which tool it has, `control ok`, `open ADDRESS PORT` for each place that answers, and `end`.
 */
const PROBE = `
within=$1
shift
reach() {
  case $tool in
    bash) timeout "$within" bash -c 'exec 3<>"/dev/tcp/$1/$2"' probe "$1" "$2" ;;
    python3) timeout "$within" python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 60)' "$1" "$2" ;;
    nc) timeout "$within" nc -z "$1" "$2" ;;
  esac >/dev/null 2>&1 </dev/null
}
set -f
connection=$SSH_CONNECTION
[ -n "$connection" ] || exit 3
works=
for tool in bash python3 nc; do
  command -v "$tool" >/dev/null 2>&1 || continue
  reach $(echo "$connection" | { read -r _ _ address port; echo "$address $port"; }) && works=$tool && break
done
[ -n "$works" ] || exit 4
echo "tool $tool"
echo "control ok"
while [ "$#" -ge 2 ]; do
  reach "$1" "$2" && echo "open $1 $2"
  shift 2
done
echo end
`;

function refused(message: string, hint: string): DropsError {
  return new DropsError("safety/refused", message, { hint });
}
