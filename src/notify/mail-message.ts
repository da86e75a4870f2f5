import type { Alert } from "./report.ts";

/** A mail as RFC 5322 has it. Whatever the alert holds, it adds no header and no line to one: see `headerText`. */
export function mailMessage(
  alert: Alert,
  address: { readonly from: string; readonly to: readonly string[] },
): string {
  const { title, message, log = "" } = alert;
  const body = `${message}\n${log === "" ? "" : `\nThe last lines of the log:\n\n${log}\n`}`;
  const lines = [
    `From: drops <${address.from}>`,
    `To: ${address.to.join(",\n ")}`,
    `Subject: ${headerText(title)}`,
    `Date: ${new Date(alert.at).toUTCString().replace("GMT", "+0000")}`,
    `Message-ID: <drops.${alert.id}@${address.from.split("@")[1] ?? "localhost"}>`,
    "Auto-Submitted: auto-generated",
    `X-Priority: ${6 - alert.priority}`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: base64",
    "",
    ...(Buffer.from(body.replaceAll("\n", "\r\n"))
      .toString("base64")
      .match(/.{1,76}/g) ?? []),
  ];
  return `${lines.join("\n")}\n`;
}

/** As encoded words of RFC 2047 where it is more than plain letters; each below 75 characters, cut between characters. */
function headerText(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text) && !text.includes("=?")) return text;
  const words: string[] = [];
  let word = "";
  for (const character of text) {
    if (Buffer.byteLength(word + character) > 42) {
      words.push(word);
      word = "";
    }
    word += character;
  }
  return [...words, word].map((each) => `=?utf-8?B?${Buffer.from(each).toString("base64")}?=`).join("\n ");
}
