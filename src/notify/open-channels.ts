import type { ChannelPolicy } from "../policy/notify-schema.ts";
import type { Channel } from "./channel.ts";
import { commandChannel } from "./command.ts";
import { mailChannel } from "./mail.ts";
import { pingChannel } from "./ping.ts";
import { webhookChannel } from "./webhook.ts";

export interface ChannelWorld {
  /** This machine's name. */
  readonly machine: string;
}

/** Nothing is read or opened before the first alert: a secret that is missing is that channel's trouble alone. */
export function openChannels(policies: readonly ChannelPolicy[], world: ChannelWorld): Channel[] {
  return policies.map((policy) => openChannel(policy, world));
}

function openChannel(policy: ChannelPolicy, world: ChannelWorld): Channel {
  switch (policy.kind) {
    case "ping":
      return pingChannel(policy);
    case "webhook":
      return webhookChannel(policy);
    case "mail":
      return mailChannel(policy, world);
    case "command":
      return commandChannel(policy);
  }
}
