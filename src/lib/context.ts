import type { Cancel } from "./cancel.ts";

/** The world, as far as the verbs may see it. */
export interface AppContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => Date;
  /** Of drops itself, for records. */
  readonly version: string;
  readonly reporter: Reporter;
}

/** How a verb tells what it is doing; implemented by the screen, on standard error. */
export interface Reporter {
  /** One line. */
  say(line: string): void;
  /** A step that takes time. `unit` says what `done` counts; the default is bytes. */
  progress(title: string, unit?: "bytes" | "files" | "objects"): Progress;
}

export interface Progress {
  /** How much is done in all so far, of how much when that is known. Cheap: call it as often as you like. */
  update(done: number, total?: number, note?: string): void;
  /** The step ended, well or badly. Once; later calls do nothing. */
  done(): void;
}

/** Someone who can be asked; there is none without a terminal. */
export interface Prompt {
  /** One line, as typed, without what is around it. Throws interrupted when the person leaves. */
  ask(question: string, how: Cancel): Promise<string>;
}
