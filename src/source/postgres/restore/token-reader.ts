import type { Token } from "./sql-tokens.ts";

/** Takes tokens from the front, and only those that fit. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get atEnd(): boolean {
    return this.#at === this.#tokens.length;
  }

  /** All of these words, or nothing is taken. */
  starts(...words: readonly string[]): boolean {
    const fits = words.every((word, index) => {
      const token = this.#tokens[this.#at + index];
      return token?.kind === "word" && token.text === word;
    });
    if (fits) this.#at += words.length;
    return fits;
  }

  other(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "other" || token.text !== text) return false;
    this.#at++;
    return true;
  }

  /** The next word, left where it is. */
  peek(): string | undefined {
    const token = this.#tokens[this.#at];
    return token?.kind === "word" ? token.text : undefined;
  }

  word(): string | undefined {
    return this.#take("word");
  }

  name(): string | undefined {
    return this.#take("name", "word");
  }

  string(): string | undefined {
    return this.#take("string");
  }

  number(): string | undefined {
    return this.#take("number");
  }

  value(): string | undefined {
    return this.#take("string", "number", "word", "name");
  }

  /** With a dot in it when it is an extension's. */
  parameter(): string | undefined {
    const first = this.name();
    if (first === undefined || !this.other(".")) return first;
    const second = this.name();
    return second === undefined ? undefined : `${first}.${second}`;
  }

  #take(...kinds: readonly Token["kind"][]): string | undefined {
    const token = this.#tokens[this.#at];
    if (token === undefined || !kinds.includes(token.kind)) return undefined;
    this.#at++;
    return token.text;
  }
}
