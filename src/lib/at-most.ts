import { DropsError } from "./errors.ts";

/** The same items; throws store/refused, naming `what` they are, when there are more than `most`. */
export async function* atMost<Item>(
  items: AsyncIterable<Item>,
  most: number,
  what: string,
): AsyncGenerator<Item> {
  let count = 0;
  for await (const item of items) {
    count += 1;
    if (count > most) {
      throw new DropsError("store/refused", `there are more than ${most} ${what}`, {
        hint: "check who can write to the store: docs/stores.md",
      });
    }
    yield item;
  }
}
