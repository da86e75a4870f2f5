import type { SetupReport } from "../../setup/report.ts";

/** What a command in `next` is for, by how it begins. */
const FOR: readonly (readonly [string, string])[] = [
  ["drops keygen", "makes the keys"],
  ["install", "then type the two lines of the credential, and press Ctrl-D"],
  ["drops init", "makes the repository"],
  ["drops doctor", "tests everything that a backup needs"],
  ["drops backup", "the first one; continues if it was interrupted"],
];

export function setupInWords({ file, sources, keys, repository, next }: SetupReport): string {
  const width = Math.max(...next.map((command) => command.length));
  const about = (command: string) => FOR.find(([start]) => command.startsWith(start))?.[1] ?? "";
  return [
    `wrote ${file}, with the sources ${sources.join(", ")}`,
    ...(repository === undefined ? [] : [`made repository ${repository}`]),
    ...(keys.made
      ? [
          `made keys in ${keys.directory}. Move recovery-identity.txt off this machine and keep two copies (paper, a password manager):`,
          "it opens every backup, and without it nobody can read any backup",
        ]
      : []),
    "",
    "next:",
    ...next.map((command) => `  ${command.padEnd(width)}  # ${about(command)}`),
  ].join("\n");
}
