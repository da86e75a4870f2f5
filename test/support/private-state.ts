import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { COMPILE_CACHE } from "./compile-cache.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** In a mount namespace of its own, where /var/lib/drops is `$1`. */
const ENTER = 'mount --bind "$1" /var/lib/drops && shift && exec "$@"';

export interface Answer {
  readonly exit: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The command line as a process, for restores onto this machine: what they keep below /var/lib/drops lies in `state`, so
 * that tests do not see each other's. Needs root.
 */
export async function dropsArgv(state: string, ...args: readonly string[]): Promise<[string, ...string[]]> {
  await mkdir(state, { recursive: true });
  await mkdir("/var/lib/drops", { recursive: true }); // to mount on
  return [
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    ENTER,
    "drops",
    state,
    process.execPath,
    MAIN,
    ...args,
  ];
}

/** Run to the end, without a terminal. */
export async function dropsPrivately(
  state: string,
  home: string,
  ...args: readonly string[]
): Promise<Answer> {
  const [program, ...rest] = await dropsArgv(state, ...args);
  const env = { ...COMPILE_CACHE, PATH: process.env["PATH"], HOME: home };
  return new Promise((resolve) => {
    execFile(program, rest, { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const exit = error === null ? 0 : typeof error.code === "number" ? error.code : undefined;
      resolve({ exit, stdout, stderr });
    });
  });
}
