import type { Space } from "../lib/space.ts";

const NAME = /^free (\/.*)$/s;
const VALUE = /^(\d{1,16}) of (\d{1,16})$/;

/** Facts about the host in a record: `free /var` is `BYTES of BYTES`. */
export function spaceFacts(spaces: readonly Space[]): Record<string, string> {
  return Object.fromEntries(spaces.map(({ where, free, total }) => [`free ${where}`, `${free} of ${total}`]));
}

/** What a record says of the host's file systems; what is not of this form is passed over. */
export function spaceInFacts(facts: Readonly<Record<string, string>>): Space[] {
  return Object.entries(facts).flatMap(([name, value]) => {
    const where = NAME.exec(name)?.[1];
    const [, free, total] = VALUE.exec(value) ?? [];
    const space = { where: where ?? "", free: Number(free), total: Number(total) };
    const isSpace = Number.isSafeInteger(space.free) && Number.isSafeInteger(space.total) && space.total > 0;
    return where !== undefined && isSpace ? [space] : [];
  });
}
