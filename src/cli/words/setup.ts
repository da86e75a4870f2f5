import type { SetupReport } from "../../setup/report.ts";

/** What a command in `next` is for, by how it begins. */
const FOR: readonly (readonly [string, string])[] = [
  ["drops keygen", "makes the keys"],
  ["install", "then type the two lines of the credential, and Ctrl-D"],
  ["drops init", "makes the repository"],
  ["drops doctor", "tries everything that a backup needs"],
  ["drops backup", "the first one; may be interrupted, and goes on"],
];

export function setupInWords({ file, sources, keys, repository, next }: SetupReport): string {
  const width = Math.max(...next.map((command) => command.length));
  const about = (command: string) => FOR.find(([start]) => command.startsWith(start))?.[1] ?? "";
  return [
    `${file} is written, with ${sources.join(", ")}`,
    ...(repository === undefined ? [] : [`repository ${repository} is made`]),
    ...(keys.made
      ? [
          `keys are made in ${keys.directory}: move recovery-identity.txt off this machine, twice (paper, a password manager);`,
          "without it no backup can ever be read, and with it all of them",
        ]
      : []),
    "",
    "next:",
    ...next.map((command) => `  ${command.padEnd(width)}  # ${about(command)}`),
  ].join("\n");
}
