import { createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import type { Client } from "ssh2";

/**
 * ssh2's AES-GCM written for large packets: its own makes the key schedule's key object anew for each packet and decrypts a
 * packet in as many pieces as it came in, which is half of all time spent on receiving. Same checks, same order of
 * packets; the key, its counter and whoever gets the payload stay ssh2's. Reaches inside ssh2, and leaves it alone when it
 * looks different (its compiled cipher, another version).
 */
export function quicken(client: Client): void {
  const protocol = (client as unknown as { _protocol?: Protocol })._protocol;
  if (protocol === undefined) return;
  onEach(protocol, "_decipher", replaceDecrypt);
  onEach(protocol, "_cipher", replaceKey);
}

interface Protocol {
  _decipher?: unknown;
  _cipher?: unknown;
}

/** Have a look at what is there and at whatever takes its place: new keys are agreed on after 64 GiB or so. */
function onEach(protocol: Protocol, name: keyof Protocol, look: (value: unknown) => void): void {
  let current = protocol[name];
  look(current);
  Object.defineProperty(protocol, name, {
    get: () => current,
    set: (next: unknown) => {
      look(next);
      current = next;
    },
  });
}

/** Whether packets are now decrypted without keeping a view of the bytes that were read. */
export function isQuick(client: Client): boolean {
  const protocol = (client as unknown as { _protocol?: { _decipher?: object } })._protocol;
  return protocol?._decipher !== undefined && quickened.has(protocol._decipher);
}

const quickened = new WeakSet<object>();

interface GcmDecipher {
  inSeqno: number;
  readonly _decipherSSLName: "aes-128-gcm" | "aes-256-gcm";
  readonly _decipherKey: Buffer;
  readonly _decipherIV: Buffer;
  _onPayload(payload: Buffer): number | boolean | undefined;
  decrypt(data: Buffer, start: number, end: number): number | boolean | undefined;
}

const LENGTH = 4;
const TAG = 16;
const MAX_PACKET = 35_000; // as ssh2 has it

function replaceDecrypt(decipher: unknown): void {
  if (!isGcm(decipher)) return;
  const packets = new Packets(decipher);
  decipher.decrypt = (data, start, end) => packets.take(data, start, end);
  quickened.add(decipher);
}

function replaceKey(cipher: unknown): void {
  const it = cipher as { _encSSLName?: string; _encKey?: unknown } | undefined;
  if (/^aes-(128|256)-gcm$/.test(it?._encSSLName ?? "") && it !== undefined && Buffer.isBuffer(it._encKey)) {
    it._encKey = createSecretKey(it._encKey);
  }
}

function isGcm(decipher: unknown): decipher is GcmDecipher {
  const it = decipher as Partial<GcmDecipher> | undefined;
  return (
    /^aes-(128|256)-gcm$/.test(it?._decipherSSLName ?? "") &&
    Buffer.isBuffer(it?._decipherKey) &&
    Buffer.isBuffer(it?._decipherIV)
  );
}

/** Cuts what was read into packets (RFC 5647: length in clear, ciphertext, tag) and opens them. */
class Packets {
  readonly #decipher: GcmDecipher;
  readonly #key: KeyObject;
  readonly #begun = Buffer.allocUnsafeSlow(LENGTH + MAX_PACKET + TAG);
  #length = 0;
  #at = 0;

  constructor(decipher: GcmDecipher) {
    this.#decipher = decipher;
    this.#key = createSecretKey(decipher._decipherKey);
  }

  /** As ssh2 wants it: the place where to go on reading when someone else must (new keys), else undefined. */
  take(data: Buffer, start: number, end: number): number | boolean | undefined {
    this.#at = start;
    for (let packet = this.#next(data, end); packet !== undefined; packet = this.#next(data, end)) {
      const answer = this.#decipher._onPayload(this.#open(packet));
      if (answer !== undefined) return answer === false ? this.#at : answer;
    }
    return undefined;
  }

  /** The next whole packet: a view of `data` when all of it is there. */
  #next(data: Buffer, end: number): Buffer | undefined {
    if (this.#length === 0 && end - this.#at >= LENGTH) {
      const next = this.#at + sizeOf(data, this.#at);
      if (next <= end) {
        const packet = data.subarray(this.#at, next);
        this.#at = next;
        return packet;
      }
    }
    this.#gather(data, end, LENGTH);
    if (this.#length < LENGTH) return undefined;
    const whole = sizeOf(this.#begun, 0);
    this.#gather(data, end, whole);
    if (this.#length < whole) return undefined;
    this.#length = 0;
    return this.#begun.subarray(0, whole);
  }

  /** Copy what is there of the packet that has begun, up to `wanted` bytes of it. */
  #gather(data: Buffer, end: number, wanted: number): void {
    const count = Math.max(0, Math.min(wanted - this.#length, end - this.#at));
    data.copy(this.#begun, this.#length, this.#at, this.#at + count);
    this.#length += count;
    this.#at += count;
  }

  #open(packet: Buffer): Buffer {
    const { _decipherSSLName: cipher, _decipherIV: nonce } = this.#decipher;
    const inside = packet.length - TAG;
    const opening = createDecipheriv(cipher, this.#key, nonce, { authTagLength: TAG });
    opening.setAAD(packet.subarray(0, LENGTH));
    opening.setAuthTag(packet.subarray(inside));
    const plain = opening.update(packet.subarray(LENGTH, inside));
    opening.final(); // throws when it was tampered with
    count(nonce);
    this.#decipher.inSeqno = (this.#decipher.inSeqno + 1) >>> 0;
    return plain.subarray(1, plain.length - (plain[0] ?? 0));
  }
}

/** Bytes of a whole packet, from the length that it begins with. */
function sizeOf(data: Buffer, at: number): number {
  const length = data.readUInt32BE(at);
  if (length + 20 > MAX_PACKET || length < 16 || length % 16 !== 0)
    throw new Error(`Bad packet length: ${length}`);
  return LENGTH + length + TAG;
}

/** The last 8 bytes of the nonce count packets. */
function count(nonce: Buffer): void {
  for (let at = 11; at >= 4; at -= 1) {
    const next = ((nonce[at] ?? 0) + 1) & 0xff;
    nonce[at] = next;
    if (next !== 0) return;
  }
}
