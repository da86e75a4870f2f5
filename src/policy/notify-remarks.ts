import type { ChannelPolicy } from "./notify-schema.ts";
import type { Policy } from "./schema.ts";

/** What is allowed in `notify` and will not help on the night that matters. Addresses in files are not looked at. Pure. */
export function notifyRemarks({ notify, host }: Pick<Policy, "notify" | "host">): string[] {
  if (!notify) return [];
  const here = host === "local" ? undefined : host.ssh.address;
  const remarks = notify.channels.flatMap((channel) => remarksOf(channel, here));
  if (notify.channels.every(({ kind }) => kind !== "ping"))
    remarks.push("no channel of notify is a ping: nobody is alerted if the machine or its timer is off");
  return remarks;
}

function remarksOf(channel: ChannelPolicy, host: string | undefined): string[] {
  if ((channel.kind !== "ping" && channel.kind !== "webhook") || channel.url === undefined) return [];
  const { protocol, hostname } = new URL(channel.url);
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
  const remarks: string[] = [];
  if (hostname === host || (host === undefined && isLoopback))
    remarks.push(
      `the channel ${channel.name} is on the machine that is backed up: it is silent when that is down`,
    );
  if (protocol === "http:" && !isLoopback)
    remarks.push(`the channel ${channel.name} uses http: others can read its address and headers on the way`);
  return remarks;
}
