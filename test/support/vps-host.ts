import type { Host } from "../../src/host/host.ts";
import { openSshHost } from "../../src/host/ssh.ts";
import type { Vps } from "./vps.ts";

/** A connection to a throwaway server, as drops makes one. */
export async function openVps({ ssh }: Vps): Promise<Host> {
  const policy = {
    address: ssh.address,
    port: ssh.port,
    user: ssh.user,
    key_file: ssh.keyFile,
    host_key: ssh.hostKey,
  };
  return openSshHost(policy, { signal: new AbortController().signal, home: "/" });
}
