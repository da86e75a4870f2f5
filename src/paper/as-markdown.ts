import type { PaperDocument, Piece, Section } from "./document.ts";

/** Markdown, as RECOVERY.md is. Ends in a newline. */
export function documentAsMarkdown({ title, subtitle, warning, sections }: PaperDocument): string {
  const head = [`# ${title}`, subtitle, ...(warning === undefined ? [] : [`**${warning}**`])];
  return `${[...head, ...sections.map(sectionAsMarkdown)].join("\n\n")}\n`;
}

function sectionAsMarkdown({ title, pieces }: Section): string {
  return [`## ${title}`, ...pieces.flatMap(pieceAsMarkdown)].join("\n\n");
}

function pieceAsMarkdown(piece: Piece): string[] {
  switch (piece.kind) {
    case "text":
      return [piece.text];
    case "list":
      return [piece.items.map((item) => `- ${item}`).join("\n")];
    case "facts":
      return [
        [
          "| what | |",
          "|---|---|",
          ...piece.rows.map(([name, value]) => `| ${cell(name)} | ${cell(value)} |`),
        ].join("\n"),
      ];
    case "commands":
      return [["```", ...piece.lines, "```"].join("\n")];
    case "code":
      return [];
  }
}

function cell(words: string): string {
  return words.replaceAll("|", "\\|");
}
