import { DropsError } from "../lib/errors.ts";
import { MOST_EMPTY_PAGES, MOST_LISTED, MOST_PAGES } from "../lib/limits.ts";

/** Follows a listing from page to page, and refuses one that would never come to its end. */
export class Pages {
  readonly #what: string;
  #count = 0;
  #empty = 0;
  #names = 0;
  #last: string | undefined;

  constructor(label: string, prefix: string) {
    this.#what = `listing ${prefix === "" ? label : `${prefix} in ${label}`}`;
  }

  /**
   * Where the next page begins; undefined after the last.
   *
   * @param page `names`: how many were on it, of ours or not; `next`: what the server says of the next page
   * @throws DropsError store/refused
   */
  next(page: {
    readonly isTruncated: boolean;
    readonly names: number;
    readonly next: string | undefined;
  }): string | undefined {
    this.#count += 1;
    this.#names += page.names;
    this.#empty = page.names === 0 ? this.#empty + 1 : 0;
    if (this.#names > MOST_LISTED) throw this.#refused(`there are more than ${MOST_LISTED} objects`);
    if (!page.isTruncated) return undefined;
    if (!page.next) throw this.#refused("the server says that there is more, and not where");
    if (page.next === this.#last) throw this.#refused("the server gives the same page again");
    if (this.#empty > MOST_EMPTY_PAGES || this.#count >= MOST_PAGES)
      throw this.#refused(`the server has not come to the end after ${this.#count} pages`);
    this.#last = page.next;
    return page.next;
  }

  #refused(why: string): DropsError {
    return new DropsError("store/refused", `${this.#what}: ${why}`, {
      hint: "use a server that lists as S3 promises (ListObjectsV2, ListObjectVersions): docs/stores.md",
    });
  }
}
