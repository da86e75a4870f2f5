const BYTES: Readonly<Record<string, number>> = { MiB: 1024 ** 2, GiB: 1024 ** 3 };
const MILLISECONDS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `512MiB` or `4GiB` in bytes. The policy's schema admits nothing else. */
export function byteCount(text: string): number {
  return quantity(text, BYTES);
}

/** `30s`, `15m`, `24h` or `7d` in milliseconds. The policy's schema admits nothing else. */
export function milliseconds(text: string): number {
  return quantity(text, MILLISECONDS);
}

function quantity(text: string, units: Readonly<Record<string, number>>): number {
  const [, count, unit] = /^(\d+)([A-Za-z]+)$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : units[unit];
  if (count === undefined || factor === undefined) throw new TypeError(`not a quantity: ${text}`);
  return Number(count) * factor;
}

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1536` as `1.5 KiB`: three digits, binary units. */
export function inBytes(bytes: number): string {
  let unit = 0;
  let amount = bytes;
  while (amount >= 999.5 && unit < BINARY.length - 1) {
    amount /= 1024;
    unit++;
  }
  const digits = unit === 0 || amount >= 99.95 ? 0 : 1;
  return `${amount.toFixed(digits)} ${BINARY[unit] ?? "B"}`;
}

/** How long before `now` an ISO time was, in seconds; 0 for one that is ahead. */
export function ageSeconds(iso: string, now: Date): number {
  return Math.max(0, (now.getTime() - Date.parse(iso)) / 1000);
}
