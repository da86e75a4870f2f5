import * as z from "zod";
import { malformedAt, parseBoundedYaml } from "./bounded-yaml.ts";

/** Configurations come with long comments; a registration is small. */
const MAX_CONFIG = 1024 * 1024;
const MAX_REGISTRATION = 64 * 1024;

const Text = z.string().min(1);
/** Absent, null and empty are the same to a bridge. */
const Optional = z
  .string()
  .nullish()
  .transform((value) => (value ? value : undefined));
const Namespaces = z
  .array(z.object({ regex: Text }))
  .nullish()
  .transform((spaces) => (spaces ?? []).map(({ regex }) => regex));

/** https://spec.matrix.org/v1.11/application-service-api/#registration */
const Registration = z.object({
  id: Text,
  url: Optional,
  as_token: Text,
  hs_token: Text,
  sender_localpart: Text,
  namespaces: z.object({ users: Namespaces }),
});

const Encryption = z.object({
  allow: z
    .boolean()
    .nullish()
    .transform((allow) => allow ?? false),
  pickle_key: Optional,
});

/** The part of a mautrix bridge's config.yaml that must fit to something outside of it (mautrix-go: bridgev2/bridgeconfig). */
const Config = z.object({
  homeserver: z.object({ domain: Text }),
  appservice: z.object({
    id: Optional,
    address: Optional,
    as_token: Optional,
    hs_token: Optional,
    username_template: Optional,
    bot: z
      .object({ username: Optional })
      .nullish()
      .transform((bot) => bot?.username),
  }),
  encryption: Encryption.nullish(),
  /** Where it stood before version 2 of the bridges' framework. */
  bridge: z.object({ encryption: Encryption.nullish(), username_template: Optional }).nullish(),
});

export type RegistrationDocument = z.infer<typeof Registration>;
export type BridgeConfig = z.infer<typeof Config>;
export type ParsedDocument<T> = { readonly value: T } | { readonly problem: string };

/** Never throws; `problem` names fields and lines, no values. */
export function readRegistration(content: Uint8Array): ParsedDocument<RegistrationDocument> {
  return read(content, MAX_REGISTRATION, Registration);
}

/** Never throws; `problem` names fields and lines, no values. */
export function readBridgeConfig(content: Uint8Array): ParsedDocument<BridgeConfig> {
  return read(content, MAX_CONFIG, Config);
}

function read<T>(content: Uint8Array, maxSize: number, schema: z.ZodType<T>): ParsedDocument<T> {
  const parsed = parseBoundedYaml(content, { bytes: maxSize });
  if ("problem" in parsed) return parsed;
  const checked = schema.safeParse(parsed.value);
  return checked.success ? { value: checked.data } : { problem: malformedAt(checked.error) };
}
