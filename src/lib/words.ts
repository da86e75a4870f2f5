/** `a, b and 7 more`: the first few of what may be very many. `total`: of how many, where only the first few are given. */
export function someOf(
  all: readonly string[],
  { most = 5, between = ", ", total = all.length } = {},
): string {
  const shown = all.slice(0, most);
  const more = total - shown.length;
  if (more <= 0) return shown.join(between);
  return `${shown.join(between)}${between === ", " ? "" : between.trimEnd()} and ${more} more`;
}

/** `1 file`, `2 files`, `12,345 files`. */
export function counted(amount: number, one: string, many = `${one}s`): string {
  return `${amount.toLocaleString("en")} ${amount === 1 ? one : many}`;
}

/** Seconds as `0.42 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(seconds < 0.995 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.floor(whole / 60);
  if (whole < 86_400) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  return two(Math.floor(whole / 86_400), "d", Math.floor((whole % 86_400) / 3600), "h");
}

/** An age, in seconds, in the units that matter: `45 s`, `12 min`, `26 h 5 min`, `3 d 4 h`. */
export function rough(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 120) return `${minutes} min`;
  if (minutes < 48 * 60) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(minutes / 60);
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

function two(large: number, largeName: string, small: number, smallName: string): string {
  return `${large} ${largeName}${small > 0 ? ` ${small} ${smallName}` : ""}`;
}
