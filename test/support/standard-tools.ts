import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdir, readdir, symlink } from "node:fs/promises";
import { basename, isAbsolute, join } from "node:path";

/** All that recovery may need, by Debian package. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  age: ["age"],
  zstd: ["zstd"],
  tar: ["tar"],
  jq: ["jq"],
  "openssh-client": ["ssh-keygen"],
  bash: ["bash"],
  grep: ["grep"],
  sed: ["sed"],
  findutils: ["find", "xargs"],
  coreutils: [
    ...[
      "base64",
      "cat",
      "chmod",
      "chown",
      "comm",
      "cp",
      "cut",
      "dd",
      "dirname",
      "head",
      "ln",
      "ls",
      "mkdir",
      "mkfifo",
    ],
    ...[
      "id",
      "mktemp",
      "mv",
      "readlink",
      "rm",
      "rmdir",
      "sha256sum",
      "sleep",
      "sort",
      "stat",
      "tac",
      "tail",
      "touch",
      "truncate",
      "tr",
      "wc",
    ],
  ],
};

export interface Answer {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs programs where only the standard tools exist: nothing else on PATH, an empty home, no other environment. */
export class StandardTools {
  readonly #bin: string;
  readonly #home: string;

  private constructor(bin: string, home: string) {
    this.#bin = bin;
    this.#home = home;
  }

  /** Links to the tools are made below `directory`. `more` programs, by their Debian package. */
  static async gather(
    directory: string,
    more: Readonly<Record<string, readonly string[]>> = {},
  ): Promise<StandardTools> {
    const [bin, home] = [join(directory, "bin"), join(directory, "home")];
    await mkdir(bin, { recursive: true });
    await mkdir(home);
    for (const [name, programs] of [...Object.entries(PACKAGES), ...Object.entries(more)])
      for (const program of programs) await symlink(findProgram(program, name), join(bin, basename(program)));
    return new StandardTools(bin, home);
  }

  /** `user`: a numeric id to become first. */
  async run(
    argv: readonly string[],
    how: {
      readonly cwd: string;
      readonly input?: Uint8Array | string;
      readonly user?: number;
      readonly env?: Readonly<Record<string, string>>;
    },
  ): Promise<Answer> {
    const [program = "", ...args] = argv;
    const { cwd, input = "", user } = how;
    const env = { PATH: this.#bin, HOME: this.#home, ...how.env };
    const as = user === undefined ? {} : { uid: user, gid: user };
    const child = spawn(join(this.#bin, program), args, { cwd, env, stdio: "pipe", ...as });
    child.stdin.on("error", () => {}); // a program need not read its input
    child.stdin.end(input);
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    const exit = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    return { exit, stdout: await stdout, stderr: await stderr };
  }

  /** What the programs left in the home directory. */
  homeEntries(): Promise<string[]> {
    return readdir(this.#home);
  }

  /** A pipeline as an operator would type it; every part of it must succeed. */
  async shell(script: string, cwd: string, ...args: readonly string[]): Promise<string> {
    const argv = ["bash", "-euo", "pipefail", "-c", script, "-", ...args];
    const { exit, stdout, stderr } = await this.run(argv, { cwd });
    if (exit !== 0) throw new Error(`exit ${exit} of: ${script}\n${stderr}`);
    return stdout;
  }
}

/** An absolute path stands for itself. */
function findProgram(program: string, name: string): string {
  if (isAbsolute(program)) return program;
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // not in this one
    }
  }
  throw new Error(`${program} is missing: apt-get install ${name}`);
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString("latin1");
}
