import { openSync, writeSync } from "node:fs";
import { setImmediate as breathe } from "node:timers/promises";
import { familyNames, openRocksdb, RING } from "./rocksdb-library.ts";

/**
 * Writes as fast as it can until its input ends or its parent is gone: every batch puts the batch number and one key of
 * a ring into all column families at once, and is published in a file as soon as the library has taken it.
 * Arguments: directory, file to publish in, number of families, pause between bursts in ms, "zstd" or "none".
 */
const [directory = "", publishIn = "", families = "40", pause = "0", compression = "zstd"] =
  process.argv.slice(2);
const parent = process.ppid;
let over = false;
process.stdin.on("end", () => {
  over = true;
});
process.stdin.resume();

const db = await openRocksdb(directory, {
  families: Number(families),
  create: true,
  walCompression: compression === "zstd",
});
const columns = familyNames(Number(families)).map((name) => db.columns[name]);
const published = openSync(publishIn, "w");
const number = Buffer.alloc(8);
const filler = Buffer.alloc(4096, "drops ");

for (let count = 1; !over; count++) {
  const batch = db.batch();
  const counter = Buffer.from(String(count));
  const key = Buffer.from(`ring/${count % RING}`);
  columns.forEach((column, at) => {
    // Values of different sizes: families flush and compact at different times.
    const value = Buffer.concat([counter, Buffer.from(" "), filler.subarray(0, 16 + ((at * 97) % 500))]);
    batch._put(Buffer.from("counter"), counter, { column });
    batch._put(key, value, { column });
    if (count % 7 === 0) batch._del(Buffer.from(`gone/${(count * 3) % RING}`), { column });
  });
  batch._writeSync({});
  batch._closeSync();
  number.writeBigUInt64LE(BigInt(count));
  writeSync(published, number, 0, 8, 0);
  if (count === 1) process.stdout.write("writing\n");
  if (count % 20 === 0) {
    await breathe();
    if (process.ppid !== parent) break;
    if (pause !== "0") await new Promise((resolve) => setTimeout(resolve, Number(pause)));
  }
}
process.exit(0);
