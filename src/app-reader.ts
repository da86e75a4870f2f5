import type { AppContext, ReadAccess, Reader, TrustOptions } from "./cli/app.ts";
import type { LoadedPolicy } from "./policy/load.ts";

export function policyReader(
  _loaded: LoadedPolicy,
  _trust: TrustOptions & { readonly identities: readonly string[] },
  _context: AppContext,
): Reader {
  const none = () => Promise.reject(new Error("to come"));
  return {
    snapshots: none,
    show: none,
    ls: none,
    export: none,
    restore: none,
    verify: none,
    async [Symbol.asyncDispose]() {},
  };
}
export async function openReader(_access: ReadAccess, _context: AppContext): Promise<Reader> {
  throw new Error("to come");
}
