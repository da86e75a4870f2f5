import { DropsError } from "../lib/errors.ts";
import type { SshPolicy } from "./schema.ts";

const HOST = /^(?:([a-z_][a-z0-9_-]{0,31})@)?(?:\[([0-9A-Fa-f:.]+)\]|([^@:[\]\s/]+))(?::(\d{1,5}))?$/;
const BARE_V6 = /^(?:([a-z_][a-z0-9_-]{0,31})@)?([0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/;

/** As `--host` takes it. */
export function hostWords({ user, address, port }: Pick<SshPolicy, "user" | "address" | "port">): string {
  const login = user === undefined ? "" : `${user}@`;
  const place = address.includes(":") ? `[${address}]` : address;
  return `${login}${place}${port === undefined ? "" : `:${port}`}`;
}

type Place = { readonly address: string; readonly port?: number | undefined };

/** By the words alone. */
export function isSamePlace(one: Place, other: Place): boolean {
  return one.address === other.address && (one.port ?? 22) === (other.port ?? 22);
}

/** `user@address:port`, `[v6]:port`, `address`. Throws usage/invalid. */
export function parseHost(words: string): { user?: string; address: string; port?: number } {
  const bare = BARE_V6.exec(words);
  if (bare?.[2] !== undefined)
    return { ...(bare[1] === undefined ? {} : { user: bare[1] }), address: bare[2] };
  const [, user, bracketed, plain, portText] = HOST.exec(words) ?? [];
  const address = bracketed ?? plain;
  const port = portText === undefined ? undefined : Number(portText);
  if (address === undefined || address.startsWith("-") || (port !== undefined && (port < 1 || port > 65_535)))
    throw new DropsError("usage/invalid", `"${words.slice(0, 80)}" is not the address of a machine`, {
      hint: "--host root@203.0.113.7, --host root@server.example.org:2222, --host root@[2001:db8::7]:22, or --host local",
    });
  return { address, ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port }) };
}
