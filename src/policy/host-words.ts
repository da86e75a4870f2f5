import type { SshPolicy } from "./schema.ts";

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
