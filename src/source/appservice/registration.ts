import * as z from "zod";
import { shownHostPath } from "../files/shown-path.ts";
import { malformedAt, parseBoundedYaml } from "./bounded-yaml.ts";

/** Registrations are small; a larger file is not looked into. */
const MAX_SIZE = 64 * 1024;
/** Twenty times those of a long one: any file with such a name is read, and the library takes its time with nonsense. */
const MAX_TOKENS = 4000;

const Namespace = z.array(z.object({ regex: z.string().min(1), exclusive: z.boolean() }));
/** Where registrations are kept, or what they are called. */
const PLACE = /(registrations?|app-?services?)\/[^/]*$|registration[^/]*$/i;
/** Any of these at the top makes it one. */
const TELLING = ["as_token", "hs_token", "namespaces"] as const;

/** https://spec.matrix.org/v1.11/application-service-api/#registration */
const Registration = z.object({
  id: z.string().min(1),
  url: z.string().nullable(),
  as_token: z.string().min(1),
  hs_token: z.string().min(1),
  sender_localpart: z.string().min(1),
  namespaces: z.object({
    users: Namespace.nullish(),
    aliases: Namespace.nullish(),
    rooms: Namespace.nullish(),
  }),
});

/**
 * What is wrong with an application service's registration, in one line; undefined when it is well-formed or no registration
 * at all. One is told by its place or name, or by what stands at its top. Tokens never appear in the answer: it names
 * fields and lines alone.
 */
export function registrationProblem(path: Uint8Array, content: Uint8Array): string | undefined {
  const placed = PLACE.test(Buffer.from(path).toString("latin1"));
  const parsed = parseBoundedYaml(content, { bytes: content.length, tokens: MAX_TOKENS });
  if ("problem" in parsed) return placed ? parsed.problem : undefined;
  const { value } = parsed;
  const isTelling = typeof value === "object" && value !== null && TELLING.some((key) => key in value);
  const read = placed || isTelling ? Registration.safeParse(value) : undefined;
  return read === undefined || read.success ? undefined : malformedAt(read.error);
}

/** Looks at the small YAML files among those that are read, without a second reading, and notes malformed registrations. */
export class RegistrationWatch {
  readonly #note: (text: string) => void;

  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  /** `data` as it is; once it was read to its end, it has been looked at. */
  watch(path: Buffer, size: number, data: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    const isCandidate = size <= MAX_SIZE && path.subarray(-5).toString("latin1") === ".yaml";
    return isCandidate ? this.#watched(path, data) : data;
  }

  async *#watched(path: Buffer, data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const copies: Buffer[] = [];
    for await (const view of data) {
      copies.push(Buffer.from(view));
      yield view;
    }
    const problem = registrationProblem(path, Buffer.concat(copies));
    if (problem !== undefined) this.#note(`appservice registration ${shownHostPath(path)} ${problem}`);
  }
}
