import { readFileSync } from "node:fs";
import { commandFailed } from "../../host/expect-success.ts";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { isGated } from "./gate-conditions.ts";
import { showUnits } from "./units-show.ts";

const SCRIPT = readFileSync(new URL("./gate-host.sh", import.meta.url), "utf8");
const DROP_IN = "/50-drops-restore.conf";
const EXIT_FILE = 3;
const EXIT_RELOAD = 4;
const EXIT_DROP_IN = 5;

/** What keeps units from starting while their data is being replaced: a file, and a condition on it in every unit. */
export interface GateWhat {
  /** Absolute; `restore.gate` of the policy. */
  readonly file: string;
  readonly units: readonly string[];
  /** For tests: where systemd looks for drop-ins. */
  readonly directories?: { readonly etc: string; readonly run: string };
}

export interface ClosedGate {
  /** Whether it also holds after a reboot. */
  readonly durable: boolean;
  /** What the operator should know. */
  readonly notes: readonly string[];
}

/** Every verb looks first and does what is left: call them again, in any order, after any crash. */
export class Gate {
  readonly #host: Host;
  readonly #file: string;
  readonly #units: readonly string[];
  readonly #directories: { readonly etc: string; readonly run: string };

  /** Throws policy/invalid for a path that a unit file cannot hold. */
  constructor(host: Host, what: GateWhat) {
    if (!/^\/[^\p{Cc}]*[^\p{Cc}\\/ ]$/u.test(what.file))
      throw new DropsError("policy/invalid", `${JSON.stringify(what.file)} cannot be the gate of units`, {
        hint: "restore.gate: an absolute path without control characters",
      });
    this.#host = host;
    this.#file = what.file;
    this.#units = what.units;
    this.#directories = what.directories ?? { etc: "/etc/systemd/system", run: "/run/systemd/system" };
  }

  /** Whether no unit of it can start: the file is there, and systemd has the condition in every unit, as loaded now. */
  async isClosed(how: Cancel): Promise<boolean> {
    const { exit } = await this.#host.run(["test", "-e", this.#file], { ...how, okExits: [0, 1] });
    if (exit !== 0) return false;
    return (await this.#look(how)).every(({ gated, startable }) => gated || !startable);
  }

  /** Whether `close` could be done, and what it would be worth. Changes nothing that stays. */
  async foresee(how: Cancel): Promise<"closed" | "durable" | "until-reboot" | "impossible"> {
    if (await this.isClosed(how)) return "closed";
    const needsDropIn = (await this.#look(how)).some(({ startable, gated }) => startable && !gated);
    const places = (await this.#run("look", [], how)).split("\n");
    if (!places.includes("file")) return "impossible";
    if (!needsDropIn || places.includes("etc")) return "durable";
    return places.includes("run") ? "until-reboot" : "impossible";
  }

  /**
   * Resolves when the file is on disk and systemd itself says that every unit has the condition. Running units keep
   * running. Throws host/command-failed when that cannot be reached; then the file stays.
   */
  async close(how: Cancel): Promise<ClosedGate> {
    const before = await this.#look(how);
    const wanting = before.filter(({ byModule }) => !byModule).map(({ id }) => id);
    const stdout = await this.#run("close", [...new Set(wanting)], how);
    const after = await this.#look(how);
    const open = after.filter(({ gated, startable }) => startable && !gated).map(({ unit }) => unit);
    if (open.length > 0)
      throw new DropsError("host/command-failed", `${open.join(", ")} would start despite the gate`, {
        hint: `systemctl cat ${open[0]}; does another drop-in reset ConditionPathExists, or is ${this.#directories.run} not writable?`,
      });
    return { durable: !/^(run|none) /m.test(stdout), notes: [...notesOf(stdout), ...strangers(after)] };
  }

  /** Remove the file, then the drop-ins that `close` wrote, and nothing else. Starts nothing. */
  async open(how: Cancel): Promise<void> {
    await this.#run("open", this.#units, how);
  }

  async #look(how: Cancel): Promise<readonly GatedUnit[]> {
    const shown = await showUnits(this.#host, this.#units, ["LoadState", "DropInPaths"], how);
    return Promise.all(
      shown.map(async (properties, index) => {
        const id = properties.get("Id") ?? "";
        const load = properties.get("LoadState") ?? "";
        const gated = load === "loaded" && (await isGated(this.#host, id, this.#file, how));
        const byDropIn = (properties.get("DropInPaths") ?? "")
          .split(" ")
          .some((path) => path.endsWith(DROP_IN));
        const startable = load === "loaded";
        return { unit: this.#units[index] ?? id, id, load, gated, startable, byModule: gated && !byDropIn };
      }),
    );
  }

  async #run(verb: "close" | "open" | "look", units: readonly string[], how: Cancel): Promise<string> {
    const { etc, run } = this.#directories;
    const condition = `ConditionPathExists=!${this.#file.replaceAll("%", "%%")}`;
    const argv = ["sh", "-c", SCRIPT, "drops-gate", verb, this.#file, condition, etc, run, ...units];
    const ended = await this.#host.run(argv, { ...how, okExits: [0, EXIT_FILE, EXIT_RELOAD, EXIT_DROP_IN] });
    const failed = (what: string, hint?: string) =>
      commandFailed(`${what} on ${this.#host.label}`, ended, hint);
    if (ended.exit === EXIT_FILE)
      throw failed(
        `${verb === "close" ? "making" : "removing"} ${this.#file}`,
        `ls -ld ${this.#file}; df -h`,
      );
    if (ended.exit === EXIT_RELOAD) throw failed("systemctl daemon-reload");
    if (ended.exit === EXIT_DROP_IN) throw failed(`removing drop-ins below ${etc} and ${run}`);
    return ended.stdout.toString("utf8");
  }
}

interface GatedUnit {
  readonly unit: string;
  readonly id: string;
  readonly load: string;
  readonly gated: boolean;
  /** A unit that does not exist or is masked cannot start. */
  readonly startable: boolean;
  /** It has the condition by itself, as with the NixOS module: no drop-in is needed. */
  readonly byModule: boolean;
}

function notesOf(stdout: string): readonly string[] {
  const placed = (where: string) =>
    stdout
      .split("\n")
      .filter((line) => line.startsWith(`${where} `))
      .map((line) => line.slice(where.length + 1));
  const run = placed("run");
  if (run.length === 0) return [];
  return [
    `the gate of ${run.join(", ")} does not survive a reboot, since /etc is not writable there: after one, continue with --resume before anything else (the NixOS module puts it into the units for good)`,
  ];
}

function strangers(units: readonly GatedUnit[]): readonly string[] {
  return units
    .filter(({ startable }) => !startable)
    .map(
      ({ unit, load }) =>
        `${unit} is ${load} on this machine: it cannot start, and is gated in case it appears`,
    );
}
