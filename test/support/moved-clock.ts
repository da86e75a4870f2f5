import { glob } from "node:fs/promises";

// A machine's clock belongs to its kernel, and the throwaway machines share this one's. libfaketime moves it for the
// processes that are started with it, and for nobody else.

/** Debian's package libfaketime. */
export async function faketimeLibrary(): Promise<string> {
  for await (const path of glob("/usr/lib/*/faketime/libfaketime.so.1")) return path;
  throw new Error("libfaketime is missing: apt-get install libfaketime");
}

/** What its file says: so many seconds ahead of the real clock. */
export function clockText(seconds: number): string {
  return `${seconds < 0 ? "" : "+"}${seconds}s\n`;
}

/** The environment of a process that lives by the clock in `file`. Timers, and times of files, stay as they are. */
export function movedClock(library: string, file: string): Readonly<Record<string, string>> {
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: "0", // the file is read again within a second
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1",
  };
}
