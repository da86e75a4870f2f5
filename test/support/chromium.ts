import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const QUIET = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--virtual-time-budget=2000",
];

/** What a browser made of a page in a frame of some width. */
export interface Rendered {
  /** Of the whole page, in CSS pixels: larger than `width` when something sticks out. */
  readonly scrollWidth: number;
  readonly width: number;
  /** Selectors of elements that are wider than the page. */
  readonly wide: readonly string[];
  /** Addresses of everything that the page loaded or tried to. */
  readonly loaded: readonly string[];
  /** Contents of title bars that a script wrote, which none may. */
  readonly scripts: number;
}

/** Render a page in Chromium, in a frame of this width and look at it from outside; the page itself stays as it is. */
export async function rendered(html: string, width: number): Promise<Rendered> {
  const directory = await mkdtemp(join(tmpdir(), "drops-chromium-"));
  try {
    const file = join(directory, "outer.html");
    await writeFile(file, outer(html, width));
    const { stdout } = await promisify(execFile)(
      "chromium",
      [...QUIET, `--user-data-dir=${join(directory, "profile")}`, "--dump-dom", `file://${file}`],
      { maxBuffer: 64 * 1024 * 1024, timeout: 600_000 },
    );
    const told = /<pre id="told">([^<]*)<\/pre>/.exec(stdout)?.[1];
    if (told === undefined) throw new Error(`the page told nothing: ${stdout.slice(0, 500)}`);
    return JSON.parse(decodeURIComponent(told)) as Rendered;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function outer(html: string, width: number): string {
  const page = JSON.stringify(html).replaceAll("<", "\\u003c");
  return `<!doctype html><meta charset="utf-8"><pre id="told"></pre>
<iframe id="page" style="width:${width}px;height:4000px;border:0"></iframe>
<script>
const frame = document.getElementById("page");
frame.onload = () => {
  const inner = frame.contentDocument;
  inner.documentElement.style.scrollbarWidth = "none";
  const root = inner.documentElement;
  const wide = [...inner.querySelectorAll("main *")]
    .filter((one) => one.getBoundingClientRect().right > root.clientWidth + 1 || one.scrollWidth > root.clientWidth)
    .map((one) => one.tagName + "." + one.className);
  const told = {
    scrollWidth: root.scrollWidth, width: root.clientWidth, wide,
    loaded: frame.contentWindow.performance.getEntriesByType("resource").map((one) => one.name),
    scripts: inner.querySelectorAll("script, img, link, iframe, object, embed, [onload], [onerror], [onclick]").length,
  };
  document.getElementById("told").textContent = encodeURIComponent(JSON.stringify(told));
};
frame.srcdoc = ${page};
</script>`;
}
