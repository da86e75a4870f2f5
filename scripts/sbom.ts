import { execFileSync } from "node:child_process";

// npm's bill of materials for the lockfile, without what differs from one call to the next: its number, the time, and
// the folder's name in the place of the package's. So the same lockfile gives the same bytes.
const root = new URL("..", import.meta.url);
const argv = ["sbom", "--sbom-format", "cyclonedx", "--omit", "dev", "--package-lock-only"];
const bill = JSON.parse(execFileSync("npm", argv, { cwd: root, encoding: "utf8" }));
const [name] = String(bill.metadata.component["bom-ref"]).split("@");
delete bill.serialNumber;
delete bill.metadata.timestamp;
bill.metadata.component.name = name;
process.stdout.write(`${JSON.stringify(bill, undefined, 2)}\n`);
