import { createHash } from "node:crypto";
import { someOf } from "../../lib/words.ts";
import {
  type BridgeConfig,
  type RegistrationDocument,
  readBridgeConfig,
  readRegistration,
} from "./documents.ts";
import { admits, isOfDomain } from "./namespaces.ts";
import type { StoredRegistration } from "./stored-registrations.ts";

/** One thing that must fit together, and whether it does. Never holds a secret. */
export interface AppserviceFinding {
  /** `as_token`, `pickle_key`, `registration`. */
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  /** What it leads to and what to do; there whenever it is not ok. */
  readonly hint?: string;
}

/** What three programs hold of the same bridge; undefined is a file that is not there. */
export interface AppserviceState {
  readonly registration: Uint8Array | undefined;
  readonly config: Uint8Array | undefined;
  /** The homeserver's own copies; undefined when it is not to be looked at. */
  readonly homeserver: readonly StoredRegistration[] | undefined;
}

interface Holders {
  readonly registration: RegistrationDocument;
  readonly config: BridgeConfig;
  readonly stored: RegistrationDocument | undefined;
}

const FROM_ONE_MOMENT = "restore registration, config.yaml and the homeserver's database from one snapshot";
const NEVER_AGAIN = "do not generate the registration anew (-g): that changes the tokens";
const REGISTER = "in the admin room, register the restored file: !admin appservices register";

/**
 * Whether a bridge's registration, its config.yaml and the homeserver's own copy fit together, one finding for each thing
 * that was looked at. Pure; never throws, whatever the files hold.
 */
export function crossCheckAppservice(state: AppserviceState): readonly AppserviceFinding[] {
  const registration = opened("registration", "the registration", state.registration, readRegistration);
  const config = opened("config", "config.yaml", state.config, readBridgeConfig);
  if (!registration.value || !config.value) return [...registration.findings, ...config.findings];
  const stored = storedCopy(registration.value.id, state.homeserver);
  const holders = { registration: registration.value, config: config.value, stored: stored.value };
  return [...stored.findings, ...COMPARISONS.map((compare) => compare(holders))];
}

const COMPARISONS: readonly ((holders: Holders) => AppserviceFinding)[] = [
  (holders) =>
    secretsAgree(
      "as_token",
      holders,
      "the homeserver answers M_UNKNOWN_TOKEN and the bridge ends with exit status 16",
    ),
  (holders) =>
    secretsAgree(
      "hs_token",
      holders,
      "the bridge refuses what the homeserver sends and ends with exit status 13",
    ),
  (holders) =>
    valuesAgree("id", holders, (each) => each.id, {
      leads: "the homeserver knows the bridge by another name",
      inConfig: (config) => config.appservice.id,
    }),
  (holders) =>
    valuesAgree("address", holders, (each) => each.url?.replace(/\/+$/, ""), {
      leads:
        "the homeserver calls an address where the bridge may not listen, and the bridge ends with exit status 13",
      inConfig: (config) => config.appservice.address?.replace(/\/+$/, ""),
    }),
  (holders) =>
    valuesAgree("sender_localpart", holders, (each) => each.sender_localpart, {
      leads: "the homeserver takes the bridge for another user, and the bridge ends with exit status 17",
    }),
  namespaces,
  bot,
  pickleKey,
];

interface Opened<T> {
  readonly value?: T;
  readonly findings: readonly AppserviceFinding[];
}

function opened<T>(
  name: string,
  what: string,
  content: Uint8Array | undefined,
  read: (content: Uint8Array) => { readonly value: T } | { readonly problem: string },
): Opened<T> {
  if (content === undefined) {
    return { findings: [bad(name, `${what} is not there`, `bring it back first: ${FROM_ONE_MOMENT}`)] };
  }
  const document = read(content);
  if ("value" in document) return { value: document.value, findings: [] };
  const hint = `the bridge or the homeserver will not start with it: take it from another snapshot; ${NEVER_AGAIN}`;
  return { findings: [bad(name, `${what} ${document.problem}`, hint)] };
}

function storedCopy(
  id: string,
  all: readonly StoredRegistration[] | undefined,
): Opened<RegistrationDocument> {
  if (all === undefined) return { findings: [] };
  const name = "homeserver's copy";
  const found = all.find((each) => each.id === id);
  if (found === undefined) {
    const others = all.length === 0 ? "none" : someOf(all.map((each) => shown(each.id)));
    const text = `the homeserver's database has no registration ${shown(id)}, but ${others}`;
    return { findings: [bad(name, text, `the bridge would end with exit status 16: ${REGISTER}`)] };
  }
  const document = readRegistration(found.yaml);
  if ("problem" in document) {
    return { findings: [bad(name, `the homeserver's copy ${document.problem}`, REGISTER)] };
  }
  if (document.value.id !== id) {
    const text = `the homeserver's copy ${shown(id)} calls itself ${shown(document.value.id)}`;
    return { findings: [bad(name, text, REGISTER)] };
  }
  return { value: document.value, findings: [good(name, `registered as ${shown(id)}`)] };
}

const PLACEHOLDER = /^This value is generated/;

function secretsAgree(name: "as_token" | "hs_token", holders: Holders, leads: string): AppserviceFinding {
  const { registration, config, stored } = holders;
  const inConfig = config.appservice[name];
  if (inConfig === undefined || PLACEHOLDER.test(inConfig)) {
    const hint = `${leads}: copy ${name} from the registration into config.yaml; ${NEVER_AGAIN}`;
    return bad(name, `config.yaml holds no ${name}`, hint);
  }
  const told = [
    { who: "the registration", value: registration[name] },
    { who: "config.yaml", value: inConfig },
    ...(stored === undefined ? [] : [{ who: "the homeserver", value: stored[name] }]),
  ];
  return agreement(name, told, fingerprint, leads);
}

function valuesAgree(
  name: string,
  { registration, config, stored }: Holders,
  of: (document: RegistrationDocument) => string | undefined,
  how: { readonly leads: string; readonly inConfig?: (config: BridgeConfig) => string | undefined },
): AppserviceFinding {
  const inConfig = how.inConfig?.(config);
  const told = [
    { who: "the registration", value: of(registration) ?? "nothing" },
    ...(inConfig === undefined ? [] : [{ who: "config.yaml", value: inConfig }]),
    ...(stored === undefined ? [] : [{ who: "the homeserver", value: of(stored) ?? "nothing" }]),
  ];
  return agreement(name, told, shown, how.leads);
}

interface Told {
  readonly who: string;
  readonly value: string;
}

function agreement(
  name: string,
  told: readonly Told[],
  say: (value: string) => string,
  leads: string,
): AppserviceFinding {
  const differ = told.some(({ value }) => value !== told[0]?.value);
  const who = told.map((each) => each.who).join(", ");
  if (!differ) return good(name, told.length > 1 ? `the same in ${who}` : `only ${who} holds it`);
  const values = told.map((each) => `${each.who}: ${say(each.value)}`).join("; ");
  return bad(name, `differs (${values})`, `${leads}: ${FROM_ONE_MOMENT}; ${NEVER_AGAIN}`);
}

function namespaces({ registration, config, stored }: Holders): AppserviceFinding {
  const { domain } = config.homeserver;
  const name = "domain";
  const spaces = [...registration.namespaces.users, ...(stored?.namespaces.users ?? [])];
  const hint = `the bridge may not use its own users (M_EXCLUSIVE): ${FROM_ONE_MOMENT}`;
  if (registration.namespaces.users.length === 0)
    return bad(name, "the registration reserves no users", hint);
  const stranger = spaces.find((regex) => !isOfDomain(regex, domain));
  if (stranger !== undefined) {
    return bad(name, `config.yaml is of ${shown(domain)}, a namespace is ${shown(stranger)}`, hint);
  }
  const template = config.appservice.username_template ?? config.bridge?.username_template;
  const ghost = template?.replace(/\{\{[^{}]*\}\}/g, "x");
  if (ghost !== undefined && isAdmitted(registration, `@${ghost}:${domain}`) === false) {
    return bad(name, `no namespace admits the users that config.yaml makes (${shown(template ?? "")})`, hint);
  }
  return good(name, `every namespace is of ${shown(domain)}`);
}

function bot({ registration, config }: Holders): AppserviceFinding {
  const name = "bot";
  const username = config.appservice.bot;
  if (username === undefined) return good(name, "config.yaml does not name it");
  const user = `@${username}:${config.homeserver.domain}`;
  if (username === registration.sender_localpart) return good(name, `${shown(user)} is the sender`);
  if (isAdmitted(registration, user) === false) {
    const hint = `the bridge may not act as its bot and ends with exit status 16 or 17: ${FROM_ONE_MOMENT}`;
    return bad(name, `no namespace of the registration admits ${shown(user)}`, hint);
  }
  return good(name, `${shown(user)} is in the namespaces`);
}

/** Undefined: an expression that is not read may admit it. */
function isAdmitted({ namespaces: { users } }: RegistrationDocument, user: string): boolean | undefined {
  const answers = users.map((regex) => admits(regex, user));
  return answers.includes(true) || (answers.includes(undefined) ? undefined : false);
}

function pickleKey({ config }: Holders): AppserviceFinding {
  const name = "pickle_key";
  const encryption = config.encryption ?? config.bridge?.encryption;
  if (!encryption?.allow) return good(name, "encryption is off: none is needed");
  if (encryption.pickle_key !== undefined && encryption.pickle_key !== "generate")
    return good(name, "is there");
  const why = encryption.pickle_key === undefined ? "has no pickle_key" : "would generate a new pickle_key";
  return bad(
    name,
    `encryption is on, but config.yaml ${why}`,
    "the bridge could not open its keys in the database, and encrypted rooms would stay unreadable to it: take config.yaml from another snapshot",
  );
}

/** Enough to tell two apart; nothing for what is short enough to be guessed from it. */
function fingerprint(secret: string): string {
  if (secret.length < 32) return `${secret.length} characters`;
  return `SHA-256 ${createHash("sha256").update(secret).digest("hex").slice(0, 8)}…`;
}

const SHOWN = 100;

function shown(value: string): string {
  return value.length <= SHOWN ? value : `${value.slice(0, SHOWN - 1)}…`;
}

function good(name: string, found: string): AppserviceFinding {
  return { name, ok: true, found };
}

function bad(name: string, found: string, hint: string): AppserviceFinding {
  return { name, ok: false, found, hint };
}
