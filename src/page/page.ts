/** Pages that need nothing else: they load nothing and run nothing. What is put into them is escaped by whoever makes it. */
import { wallTime } from "../policy/zone.ts";
import { escaped } from "./escape.ts";

/** One HTML file. `title` is text; `body` and `style` are HTML and CSS. */
export function page({
  title,
  style,
  body,
}: {
  readonly title: string;
  readonly style: string;
  readonly body: string;
}): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

/** A name and what it is, in a `dl`. `value` is HTML. */
export function item(name: string, value: string): string {
  return `<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

/** A bar: how much of a limit is used. */
export function meter(value: number, limit: number): string {
  const share = Math.min(100, (value / Math.max(limit, 1)) * 100);
  return `<div class="meter ${value <= limit ? "proven" : "damaged"}"><i style="width:${share.toFixed(1)}%"></i></div>`;
}

/** An ISO time as clocks in `zone` showed it. */
export function timeOf(iso: string, zone: string): string {
  return `<time datetime="${escaped(iso)}">${escaped(wallTime(new Date(iso), zone))}</time>`;
}

export function numberOf(value: number): string {
  return value.toLocaleString("en");
}
