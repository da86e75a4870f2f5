import type { WebhookPolicy } from "../policy/notify-schema.ts";
import type { Channel } from "./channel.ts";
import { call } from "./http-call.ts";
import { jsonOf } from "./json-body.ts";
import { readHeaders, readTarget } from "./secret-text.ts";

/** The alert as JSON, by POST. */
export function webhookChannel(policy: WebhookPolicy): Channel {
  const { name, kind, on, verbs, fields } = policy;
  return {
    ...{ name, kind, on, verbs },
    deliver: async (alert, how) => {
      const target = await readTarget(policy);
      const more = policy.headers_file === undefined ? {} : await readHeaders(policy.headers_file);
      const headers = { ...target.headers, ...more };
      const body = jsonOf(alert, fields);
      return call({ ...target, headers }, { method: "POST", contentType: "application/json", body }, how);
    },
  };
}
