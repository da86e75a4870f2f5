/** What is printed and kept off the server, as data: words and places, rendered as text, Markdown or a page. */
export interface PaperDocument {
  readonly title: string;
  /** Below the title. */
  readonly subtitle: string;
  /** Stands out on the first page. */
  readonly warning?: string;
  readonly sections: readonly Section[];
}

export interface Section {
  readonly title: string;
  readonly pieces: readonly Piece[];
  /** Begins on a new page when it is printed. */
  readonly newPage?: boolean;
}

export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly string[] }
  /** A name and what it is, a line each. An empty value is a line to write on. */
  | { readonly kind: "facts"; readonly rows: readonly (readonly [name: string, value: string])[] }
  /** For a shell, as they are typed. */
  | { readonly kind: "commands"; readonly lines: readonly string[] }
  /** A code to scan; shown as a picture on a page, not at all in text. */
  | { readonly kind: "code"; readonly svg: string; readonly caption: string };

export const text = (words: string): Piece => ({ kind: "text", text: words });
export const list = (...items: readonly string[]): Piece => ({ kind: "list", items });
export const facts = (...rows: readonly (readonly [name: string, value: string])[]): Piece => ({
  kind: "facts",
  rows,
});
export const commands = (...lines: readonly string[]): Piece => ({ kind: "commands", lines });

/** Where something is written by hand. */
export const BLANK = "_".repeat(40);
