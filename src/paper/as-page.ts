import { escaped } from "../page/escape.ts";
import { page } from "../page/page.ts";
import type { PaperDocument, Piece, Section } from "./document.ts";

export interface PageLook {
  /** Small type, so that a sheet fits one page. */
  readonly dense?: boolean;
}

/** One HTML file with everything in it, for printing on A4: it loads nothing and runs nothing. */
export function documentAsPage(document: PaperDocument, look: PageLook = {}): string {
  const { title, subtitle, warning, sections } = document;
  const body = `<header>
<h1>${escaped(title)}</h1>
<p>${escaped(subtitle)}</p>
${warning === undefined ? "" : `<p class="warning">${escaped(warning)}</p>`}
</header>
${sections.map(sectionAsHtml).join("\n")}`;
  return page({ title, style: `${STYLE}${look.dense ? DENSE : ""}`, body });
}

function sectionAsHtml({ title, pieces, newPage }: Section): string {
  const body = pieces.map(pieceAsHtml).join("\n");
  return `<section${newPage ? ' class="new-page"' : ""}>\n<h2>${escaped(title)}</h2>\n${body}\n</section>`;
}

function pieceAsHtml(piece: Piece): string {
  switch (piece.kind) {
    case "text":
      return `<p>${escaped(piece.text)}</p>`;
    case "list":
      return `<ul>${piece.items.map((item) => `<li>${escaped(item)}</li>`).join("")}</ul>`;
    case "facts":
      return `<table>${piece.rows.map(rowAsHtml).join("")}</table>`;
    case "commands":
      return `<pre>${piece.lines.map(escaped).join("\n")}</pre>`;
    case "code": // made by us, not from foreign text
      return `<figure>${piece.svg}<figcaption>${escaped(piece.caption)}</figcaption></figure>`;
  }
}

function rowAsHtml([name, value]: readonly [string, string]): string {
  const cell = value === "" ? '<td class="blank"></td>' : `<td>${escaped(value)}</td>`;
  return `<tr><th>${escaped(name)}</th>${cell}</tr>`;
}

const STYLE = `
@page { size: A4; margin: 14mm 15mm; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.4 system-ui, "Liberation Sans", sans-serif; color: #000; background: #fff; max-width: 180mm; margin: 0 auto; }
h1 { font-size: 18pt; margin: 0 0 1mm; }
h2 { font-size: 12pt; margin: 5mm 0 1.5mm; border-bottom: 0.4mm solid #000; break-after: avoid; }
p, ul, table, pre { margin: 1.5mm 0; }
ul { padding-left: 5mm; }
li { break-inside: avoid; }
pre { font: 8.5pt/1.45 ui-monospace, "Liberation Mono", monospace; background: #f0f0f0; padding: 1.5mm 2mm; white-space: pre-wrap; overflow: hidden; overflow-wrap: anywhere; break-inside: avoid; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
table { border-collapse: collapse; }
th { text-align: left; font-weight: 600; white-space: nowrap; vertical-align: top; padding: 0.4mm 4mm 0.4mm 0; }
td { font-family: ui-monospace, "Liberation Mono", monospace; font-size: 0.88em; overflow-wrap: anywhere; padding: 0.4mm 0; }
td.blank { border-bottom: 0.3mm solid #000; height: 7mm; width: 110mm; }
.warning { border: 0.6mm solid #000; padding: 1.5mm 2.5mm; font-weight: 600; }
figure { float: right; margin: 0 0 0 4mm; width: 38mm; text-align: center; }
figure svg { width: 38mm; height: 38mm; display: block; }
figcaption { font-size: 7.5pt; line-height: 1.2; }
section { display: flow-root; }
@media print { .new-page { break-before: page; } }
@media screen { body { padding: 8mm; } }
`;

const DENSE = `
@page { margin: 6mm 12mm; }
body { font-size: 8pt; line-height: 1.22; max-width: none; }
h1 { font-size: 14pt; }
h2 { font-size: 9pt; margin: 1.2mm 0 0.4mm; }
p, ul, table, pre { margin: 0.5mm 0; }
.warning { padding: 0.8mm 2mm; }
pre { font-size: 6.8pt; line-height: 1.25; padding: 0.6mm 1.5mm; }
th, td { padding-top: 0.1mm; padding-bottom: 0.1mm; }
td.blank { height: 5mm; }
figure, figure svg { width: 34mm; }
figure svg { height: 34mm; }
`;
