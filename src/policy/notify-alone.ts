import * as z from "zod";
import { readText } from "../lib/read-at-most.ts";
import { parseYaml } from "../lib/yaml.ts";
import { Duration, Name } from "./fields.ts";
import type { LoadedPolicy } from "./load.ts";
import { Notify, type NotifyPolicy } from "./notify-schema.ts";

/** What of a policy alerts need. */
export interface AlertPolicy {
  readonly name: string;
  readonly zone: string;
  readonly rpo: string;
  /** Undefined when it names nobody to tell. */
  readonly notify: NotifyPolicy | undefined;
}

const Alone = z.object({ name: Name, notify: Notify, rpo: Duration.catch("24h") });

export function alertPolicyOf({ policy: { name, zone, rpo, notify } }: LoadedPolicy): AlertPolicy {
  return { name, zone, rpo, notify };
}

/** Of a file that is no valid policy, as after a mistake in an edit: somebody must be told of that, too. */
export async function readNotifyAlone(file: string): Promise<AlertPolicy | undefined> {
  try {
    const document = parseYaml(await readText(file), { uniqueKeys: false });
    const read = Alone.safeParse(document.toJS({ maxAliasCount: 32 }));
    return read.success ? { ...read.data, zone: "UTC" } : undefined;
  } catch {
    return undefined; // whoever reads it for its own sake says what is wrong with it
  }
}
