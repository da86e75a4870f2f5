import { DropsError } from "../lib/errors.ts";
import type { Retention } from "../retention/retention.ts";
import type { GlobalFlags, Shell } from "./shell.ts";

/** How often an answer that is none is asked for again. */
const TRIES = 3;

export async function openRetention(shell: Shell, { policy }: GlobalFlags): Promise<Retention> {
  const { openRetention } = await shell.app();
  return openRetention({ policy }, shell.context);
}

/** A whole number, not negative. Throws usage/invalid. */
export function parseCount(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new DropsError("usage/invalid", `"${text.slice(0, 40)}" is not a number of snapshots`, {
    hint: "a whole number, such as 7",
  });
}

/** Throws interrupted when the person says no. `what` says what is then not done. */
export async function confirm(shell: Shell, question: string, what: string): Promise<void> {
  for (let tries = 0; shell.prompt && tries < TRIES; tries++) {
    const said = (await shell.prompt.ask(`${question} [yes/no] `, { signal: shell.signal })).toLowerCase();
    if (said === "yes" || said === "y") return;
    if (said === "no" || said === "n") break;
  }
  throw new DropsError("interrupted", `stopped before ${what}, as you said: nothing was done`);
}
