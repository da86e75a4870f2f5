import { type JournalLine, numberIn } from "../journal/journal-lines.ts";
import { STEPS, type StepId } from "./steps.ts";

/** How far a run is, as its journal tells. The data's own state is asked of the host, never of the journal. */
export interface RunProgress {
  /** Steps that were carried out and checked, and not begun again since. */
  readonly done: ReadonlySet<StepId>;
  /** Steps that were begun at least once. */
  readonly begun: ReadonlySet<StepId>;
  /** Units that were active before anything was stopped; undefined: nothing was stopped yet. */
  readonly activeBefore: readonly string[] | undefined;
  readonly isRollingBack: boolean;
  readonly isFinishing: boolean;
  /** `finished` or `rolled-back`; undefined while the run is open. */
  readonly closed: string | undefined;
  /** Seconds of work per step, over all tries. */
  readonly seconds: ReadonlyMap<StepId, number>;
}

/** Lines of other programs, or of later versions, are passed over. Pure. */
export function progressOf(lines: readonly JournalLine[]): RunProgress {
  const is = (event: string) => (line: JournalLine) => line.event === event;
  const steps = stepsOf(lines);
  const before = lines.find(is("active-before"));
  const closed = lines.find(is("closed"));
  return {
    ...steps,
    activeBefore: before && namesIn(before["units"]),
    closed: closed && String(closed["outcome"] ?? "closed"),
    isRollingBack: lines.some(is("rollback-begun")),
    isFinishing: lines.some(is("finish-begun")),
  };
}

function stepsOf(lines: readonly JournalLine[]): Pick<RunProgress, "done" | "begun" | "seconds"> {
  const done = new Set<StepId>();
  const begun = new Set<StepId>();
  const seconds = new Map<StepId, number>();
  for (const line of lines) {
    const step = STEPS.find(({ id }) => id === line["step"])?.id;
    if (!step) continue;
    if (line.event === "step-begun") {
      begun.add(step);
      done.delete(step);
      continue;
    }
    if (line.event === "step-done") done.add(step);
    seconds.set(step, (seconds.get(step) ?? 0) + numberIn(line["seconds"]));
  }
  return { done, begun, seconds };
}

function namesIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === "string") : [];
}
