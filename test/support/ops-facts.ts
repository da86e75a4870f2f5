/**
 * What is known of ops-jrz1, once: its policy, its Nix example and the throwaway servers that stand in for it are held to this table
 * (test/ops-facts.test.ts). Its public address is in the policy alone.
 */
export const OPS = {
  name: "ops-jrz1",
  zone: "America/Los_Angeles",
  keep: { daily: 7, weekly: 4, monthly: 12 },
  /** Every service listens on IPv4 alone. */
  listens: {
    homeserver: "127.0.0.1:8008",
    bridge: "127.0.0.1:29319",
    forge: "127.0.0.1:3000",
  },
  databases: { "bridge-db": "mautrix_slack", "forgejo-db": "forgejo" },
  rocksdb: "/var/lib/matrix-continuwuity/db",
  /** Of conduwuit, in its database. */
  schema: "18",
  paths: {
    media: "/var/lib/matrix-continuwuity/db/media",
    registrations: "/var/lib/matrix-appservices",
    "bridge-state": "/var/lib/mautrix-slack",
    forgejo: "/var/lib/forgejo",
    acme: "/var/lib/acme",
  },
  registration: "/var/lib/matrix-appservices/slack.yaml",
  sender: "slackbot",
  /** In the order of a restore. */
  units: ["matrix-continuwuity.service", "mautrix-slack.service", "forgejo.service", "nginx.service"],
  ready: {
    "matrix-continuwuity.service": "http://127.0.0.1:8008/_matrix/client/versions",
    "forgejo.service": "http://127.0.0.1:3000/api/healthz",
  },
} as const;
