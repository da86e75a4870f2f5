import { quoteLiteral } from "./quote.ts";

/** What the text of a value depends on, and what could hide rows or stop a session that is held open for long. */
const PINNED_SETTINGS: Readonly<Record<string, string>> = {
  TimeZone: "UTC",
  DateStyle: "ISO, YMD",
  IntervalStyle: "postgres",
  bytea_output: "hex",
  extra_float_digits: "3", // 3 is exact on every version; from 12 on every value above 0 is the same
  lc_monetary: "C", // type money
  search_path: "pg_catalog, pg_temp", // names in reg* types; nothing of the database can stand in for what is built in
  quote_all_identifiers: "off", // names in reg* types
  standard_conforming_strings: "on",
  client_encoding: "UTF8",
  row_security: "off", // an error instead of rows left out in silence
  statement_timeout: "0",
  lock_timeout: "60s",
  idle_in_transaction_session_timeout: "0",
};

/** Settings that not every server knows. */
const NEWER_SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ["client_connection_check_interval", "10s"], // a long query ends soon after its client is gone
  ["idle_session_timeout", "0"],
  ["transaction_timeout", "0"],
  ["restrict_nonsystem_relation_kind", "view, foreign-table"], // what took a table's place cannot run its owner's code
];

/** Statements to run first in every session that measures, outside of a transaction. */
export function pinSettingsSql(): readonly string[] {
  const set = (name: string, value: string) =>
    `pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)`;
  const always = Object.entries(PINNED_SETTINGS).map(([name, value]) => set(name, value));
  const newer = NEWER_SETTINGS.map(
    ([name, value]) => `SELECT ${set(name, value)} FROM pg_settings WHERE name = ${quoteLiteral(name)}`,
  );
  return [`SELECT ${always.join(", ")}`, ...newer];
}
