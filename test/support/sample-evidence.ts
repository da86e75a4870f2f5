import type { Evidence } from "../../src/drill/evidence.ts";

const check = (
  id: string,
  name: string,
  outcome: Evidence["checks"][number]["outcome"],
  more: Partial<Evidence["checks"][number]> = {},
): Evidence["checks"][number] => ({
  id,
  name,
  outcome,
  source: id.includes("/") ? (id.split("/")[0] ?? null) : null,
  found: "",
  hint: null,
  began_ms: 0,
  took_ms: 1000,
  ...more,
});

/** Evidence with one check of every outcome and something awkward in each text. */
export function sampleEvidence(change: Partial<Evidence> = {}): Evidence {
  return {
    drops: "evidence",
    format: 1,
    kind: "drill",
    repository: "0123456789abcdef0123456789abcdef",
    policy: "ops",
    id: "0123456789abcdef",
    previous: null,
    tool: "drops 0.1.0",
    on: null,
    started: "2026-11-24T02:58:24.500Z",
    ended: "2026-11-24T03:00:00.000Z",
    verdict: "unproven",
    whole: false,
    snapshot: {
      id: "5f1e0c3ab2d49788",
      sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      state: "complete",
      started: "2026-11-24T01:30:00.000Z",
      ended: "2026-11-24T01:32:05.000Z",
      signature: "trusted",
      newer: 0,
    },
    measured_against: { origin: "file", sha256: "0".repeat(64) },
    objectives: {
      age_ms: 5_304_500,
      rpo_ms: 93_600_000,
      restore_ms: 61_000,
      load_ms: 20_000,
      rto_ms: 60_000,
    },
    restored: { files: 1234, bytes: 5_368_709_120, packs: 160, stored_bytes: 2_147_483_648 },
    sandbox: { user: "nobody", network: "none" },
    checks: [
      check("homeserver-db/restore", "restored, every byte authenticated", "passed", {
        found: "1234 files, 5368709120 bytes from 160 packs",
        took_ms: 61_000,
      }),
      check("bridge-db/rows", "every count and digest is that of the capture", "failed", {
        found: `table public.message has 300 rows instead of 301; ${"a_very_long_name_without_any_place_to_break".repeat(4)}`,
        hint: "compare with another date: drops drill --date …",
        began_ms: 61_000,
        took_ms: 20_000,
      }),
      check("files/restore", 'a "name" with <script>alert(1)</script> & \u202emore', "damaged", {
        found: "<img src=https://example.org/x.png> \u001b[31mred\u0000",
        began_ms: 81_000,
        took_ms: 14_000,
      }),
      check(
        "homeserver-db/library",
        "the real RocksDB library opens it and reads every key",
        "could-not-run",
        {
          found: "the library is not installed here",
          hint: "npm install @nxtedition/rocksdb, beside drops",
          began_ms: 95_000,
          took_ms: 10,
        },
      ),
      check("rpo", "the newest snapshot is young enough (RPO)", "passed", {
        found: "5304 s old, 93600 s are allowed",
        began_ms: 95_010,
        took_ms: 0,
      }),
    ],
    not_tested: [
      { what: "source media", why: "--only left it out" },
      { what: "</td><script>alert(2)</script>", why: "' onload='alert(3)" },
    ],
    notes: ["bridge-db: pg_restore: warning: <b>bold</b>"],
    ...change,
  };
}
