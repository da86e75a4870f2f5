/**
 * The words of a command that prints a plain file of the host. For files that another user may swap: a symlink in its place is
 * not followed, and a FIFO holds nobody up.
 */
export function readingPlain(path: string): readonly string[] {
  return ["dd", `if=${path}`, "iflag=nofollow,nonblock", "bs=1M", "status=none"];
}
