import { createHash, createHmac, pbkdf2Sync } from "node:crypto";

const ITERATIONS = 4096; // PostgreSQL's own default; the password is random and lives for one loading

/** What PostgreSQL stores of a password (RFC 5803): given instead of it, the password reaches neither the server nor its log. */
export function scramVerifier(password: string, salt: Uint8Array): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest();
  const stored = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const server = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${Buffer.from(salt).toString("base64")}$${stored}:${server}`;
}
