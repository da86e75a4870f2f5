import type { FilesPolicy } from "../policy/schema.ts";
import { tidy } from "./scope.ts";

/**
 * The patterns of `exclude`, and what they are by the paths that the capture sees: a path of the source that is a symlink is
 * captured where it leads to, and one behind a symlink by its own name. Symlinks inside of the paths are never followed: whoever
 * can make one there could have data of others left out. Pure.
 *
 * @param real where a path of the source leads to when symlinks are followed
 */
export function excludesAsCaptured(
  { paths, exclude }: Pick<FilesPolicy, "paths" | "exclude">,
  real: (path: string) => string,
): string[] {
  const names = paths
    .map((path): [string, string] => [tidy(path), tidy(real(path))])
    .filter(([path, leads]) => path !== leads && !/[*?]/.test(path + leads));
  const byOtherName = (pattern: string): string[] =>
    names.flatMap((both) =>
      both.flatMap((name, index) =>
        pattern.startsWith(`${name}/`) ? [`${both[1 - index] ?? ""}${pattern.slice(name.length)}`] : [],
      ),
    );
  const added = exclude.filter((pattern) => pattern.startsWith("/")).flatMap((one) => byOtherName(tidy(one)));
  return [...exclude, ...[...new Set(added)].filter((pattern) => !exclude.includes(pattern))];
}
