import { BLANK, type PaperDocument, type Piece, type Section } from "./document.ts";

const WIDTH = 100;

/** Plain text, 100 columns; commands and facts are never broken. Ends in a newline. */
export function documentAsText(document: PaperDocument): string {
  const { title, subtitle, warning, sections } = document;
  return [
    `${title}\n${"=".repeat(title.length)}`,
    wrap(subtitle),
    ...(warning === undefined ? [] : [`!! ${wrap(warning, "   ").trimStart()}`]),
    ...sections.map(sectionAsText),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

function sectionAsText({ title, pieces }: Section): string {
  return [`${title}\n${"-".repeat(title.length)}`, ...pieces.flatMap(pieceAsText)].join("\n\n");
}

function pieceAsText(piece: Piece): string[] {
  switch (piece.kind) {
    case "text":
      return [wrap(piece.text)];
    case "list":
      return [piece.items.map((item) => `- ${wrap(item, "  ").trimStart()}`).join("\n")];
    case "facts": {
      const width = Math.max(...piece.rows.map(([name]) => name.length));
      return [piece.rows.map(([name, value]) => `${name.padEnd(width)}  ${value || BLANK}`).join("\n")];
    }
    case "commands":
      return [piece.lines.map((line) => `    ${line}`).join("\n")];
    case "code":
      return [];
  }
}

/** Words to lines, each after `indent`. */
function wrap(words: string, indent = ""): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of words.split(" ")) {
    if (line.length > indent.length && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = indent;
    }
    line += line.length === indent.length ? word : ` ${word}`;
  }
  return [...lines, line].join("\n");
}
