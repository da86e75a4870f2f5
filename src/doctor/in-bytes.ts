const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** `1536` as `1.5 KiB`, in sentences. */
export function inBytes(bytes: number): string {
  let unit = 0;
  let amount = bytes;
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  const digits = unit === 0 || amount >= 99.95 ? 0 : 1;
  return `${amount.toFixed(digits)} ${UNITS[unit] ?? ""}`;
}
