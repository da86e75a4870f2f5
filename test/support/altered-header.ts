/** Where a field of a ustar header begins. */
const SIZE_AT = 124;
const CHECKSUM_AT = 148;
const PREFIX_AT = 345;

/** A folder before the name: other programs read another name, and drops does not look. */
export function setPrefix(tar: Buffer): void {
  tar.write("other", PREFIX_AT, "latin1");
  setChecksum(tar);
}

/** The same size in base 256, as GNU tar writes what is larger than 8 GiB: other programs read it, and drops does not. */
export function setBinarySize(tar: Buffer): void {
  const size = Number.parseInt(tar.toString("latin1", SIZE_AT, SIZE_AT + 11), 8);
  tar.fill(0, SIZE_AT, SIZE_AT + 12);
  tar[SIZE_AT] = 0x80;
  tar.writeUInt32BE(size, SIZE_AT + 8);
  setChecksum(tar);
}

function setChecksum(tar: Buffer): void {
  tar.write("        ", CHECKSUM_AT, "latin1");
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, CHECKSUM_AT, "latin1");
}
