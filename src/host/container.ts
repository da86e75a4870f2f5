import { randomUUID } from "node:crypto";
import { constants } from "node:os";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { ContainerEngine } from "../policy/fields.ts";
import type { CommandExit, CommandResult, Host, RunningCommand, RunOptions } from "./host.ts";
import { ANY_EXIT, type RunHow, runToEnd } from "./run-to-end.ts";

/** Where a source's programs run: in this container of the host, or on the host itself when it names none. */
export interface ContainerPlace {
  readonly container?: string | undefined;
  /** Undefined: whichever has a container of that name. */
  readonly engine?: ContainerEngine | undefined;
}

/**
 * The host itself, or one of its running containers as a host: each command goes through `docker exec` or `podman exec`. A host
 * that is a container already stays what it is.
 */
export function inContainer(host: Host, { container, engine }: ContainerPlace): Host {
  if (container === undefined || host instanceof ContainerHost) return host;
  return new ContainerHost(host, container, engine);
}

/**
 * Start a container that is stopped; false when it runs, or when there is none to look at. Throws host/command-failed when there
 * is none of that name.
 */
export async function startContainer(host: Host, place: ContainerPlace, how: Cancel): Promise<boolean> {
  if (place.container === undefined) return false;
  const { engine, runs } = await find(host, place.container, place.engine, how);
  if (!runs) await host.run([engine, "start", place.container], how);
  return !runs;
}

class ContainerHost implements Host {
  readonly label: string;
  /** Commands are run as root of the container unless another user is asked for. */
  readonly user = { name: "root", uid: 0 };
  readonly #host: Host;
  readonly #name: string;
  #engine: ContainerEngine | undefined;

  constructor(host: Host, name: string, engine: ContainerEngine | undefined) {
    this.#host = host;
    this.#name = name;
    this.#engine = engine;
    this.label = `container ${name} of ${host.label}`;
  }

  run(argv: readonly string[], how: RunHow): Promise<CommandResult> {
    return runToEnd(this.start(argv, how), argv, how, this.label);
  }

  /** Standard input is always connected: its end tells a command that nobody waits for it any more. */
  async start(
    argv: readonly string[],
    { as = "root", env = {}, signal }: RunOptions,
  ): Promise<RunningCommand> {
    this.#engine ??= await running(this.#host, this.#name, { signal });
    const mark = randomUUID();
    const settings = Object.entries({ ...env, DROPS_COMMAND: mark }).map(
      ([name, value]) => `${name}=${value}`,
    );
    const inside = [this.#engine, "exec", "-i", "-u", as, "-w", "/", this.#name, "env", ...settings, ...argv];
    const command = await this.#host.start(inside, { signal });
    const ended = command.ended.then(withSignal);
    let hasEnded = false;
    ended.then(
      () => {
        hasEnded = true;
      },
      () => {}, // whoever waits for it sees it too
    );
    return {
      stdin: command.stdin,
      stdout: command.stdout,
      ended,
      [Symbol.asyncDispose]: async () => {
        const isOver = hasEnded;
        await command[Symbol.asyncDispose]();
        if (!isOver) await this.#end(mark, as);
      },
    };
  }

  /** The host is whoever's opened it. */
  async [Symbol.asyncDispose](): Promise<void> {}

  /**
   * Only `exec` itself ends by force on the host: what it started goes on. Root of a container may not look at others'
   * processes, so they are ended as their own user. Where that fails, the host is lost.
   */
  async #end(mark: string, as: string): Promise<void> {
    const argv = [this.#engine ?? "", "exec", "-u", as, this.#name, "sh", "-c", END, "drops-end", mark];
    const signal = AbortSignal.timeout(END_MS);
    await this.#host.run(argv, { signal, okExits: ANY_EXIT }).catch(() => {});
  }
}

const END_MS = 30_000;

/**
 * Argument: the mark in the environment of what is to be ended. A PostgreSQL that is process 1 inherits orphans, and takes one that
 * a signal ended for a crash of its own: it ends every session. There only what was started from outside is ended, never its children.
 */
const END = `
case $(cat /proc/1/comm) in postgres | postmaster) only='^PPid:[^0-9]*0$' ;; *) only=. ;; esac
end() {
  found=
  for process in /proc/[0-9]*; do
    grep -q "$only" "$process/status" 2>/dev/null || continue
    tr '\\0' '\\n' 2>/dev/null <"$process/environ" | grep -qx "DROPS_COMMAND=$2" || continue
    found=y
    kill "-$1" "\${process#/proc/}" 2>/dev/null
  done
  [ -n "$found" ]
}
end TERM "$1" && sleep 1 && end KILL "$1"
exit 0
`;

/** An engine tells of a signal as a shell does, by 128 and its number. */
function withSignal(ended: CommandExit): CommandExit {
  const number = (ended.exit ?? 0) - 128;
  const [signal] = Object.entries(constants.signals).find(([, value]) => value === number) ?? [];
  return signal === undefined ? ended : { ...ended, exit: undefined, signal };
}

async function running(host: Host, name: string, how: Cancel): Promise<ContainerEngine> {
  const { engine, runs } = await find(host, name, undefined, how);
  if (runs) return engine;
  throw new DropsError("host/command-failed", `the container ${name} on ${host.label} is not running`, {
    hint: `${engine} start ${name}`,
  });
}

/** One line an engine: its name, the container's id, whether it runs. `docker` may be podman's own stand-in: then both name one id. */
const FIND = `
for engine in docker podman; do
  command -v "$engine" >/dev/null 2>&1 || continue
  echo "$engine"
  timeout 30 "$engine" container inspect --format "$engine {{.Id}} {{.State.Running}}" "$1" 2>/dev/null
done
exit 0
`;
const LINE = /^(docker|podman) ([0-9a-f]{12,64}) (true|false)$/;

async function find(
  host: Host,
  name: string,
  wanted: ContainerEngine | undefined,
  how: Cancel,
): Promise<{ readonly engine: ContainerEngine; readonly runs: boolean }> {
  const { stdout } = await host.run(["sh", "-c", FIND, "drops-container", name], {
    signal: how.signal,
    okExits: ANY_EXIT,
    maxStdout: 64 * 1024,
  });
  const lines = stdout.toString("utf8").split("\n");
  const there = lines.flatMap((line) => {
    const [, engine, id, runs] = LINE.exec(line) ?? [];
    if (wanted !== undefined && engine !== wanted) return [];
    return id === undefined ? [] : [{ engine: engine as ContainerEngine, id, runs: runs === "true" }];
  });
  const [first] = there.sort((a, b) => Number(b.runs) - Number(a.runs));
  const others = there.filter(({ id, runs }) => id !== first?.id && runs === first?.runs);
  if (first && others.length === 0) return first;
  if (first) {
    throw new DropsError(
      "host/command-failed",
      `docker and podman on ${host.label} both have a container ${name}`,
      { hint: `set \`engine\` beside \`container: ${name}\` in the policy` },
    );
  }
  const engines = ContainerEngine.options.filter((engine) => lines.includes(engine));
  if (engines.length === 0) {
    throw new DropsError("host/command-failed", `neither docker nor podman is installed on ${host.label}`, {
      hint: "install one, or remove `container` from the policy",
    });
  }
  throw new DropsError(
    "host/command-failed",
    `${engines.join(" and ")} on ${host.label} cannot find a container ${name} as ${host.user.name}`,
    { hint: `${engines[0]} ps -a, as ${host.user.name}; correct \`container\` in the policy` },
  );
}
