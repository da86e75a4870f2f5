import { newPackSlot } from "../../src/pack/fetch-pack.ts";

/** A slot that holds this pack as if it had been fetched. */
export function slotOf(sealed: Uint8Array): { slot: SharedArrayBuffer; size: number } {
  const slot = newPackSlot();
  new Uint8Array(slot, slot.byteLength - sealed.length).set(sealed);
  return { slot, size: sealed.length };
}
