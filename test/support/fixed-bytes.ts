import { createCipheriv, hash } from "node:crypto";

/** `size` bytes that look random and are the same for the same seed, on every machine. */
export function fixedBytes(seed: string, size: number): Buffer {
  const key = hash("sha256", seed, "buffer");
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}
