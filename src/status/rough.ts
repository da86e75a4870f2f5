/** Seconds in the two largest units that matter: `45 s`, `12 min`, `26 h 5 min`, `3 d 4 h`. */
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
