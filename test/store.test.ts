import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { openDirectoryStore } from "../src/store/directory.ts";
import { openMemoryStore } from "../src/store/memory.ts";
import { storeContract } from "./contracts/store.ts";

const scratch = mkdtempSync(join(tmpdir(), "drops-store-"));
after(() => rmSync(scratch, { recursive: true }));

storeContract("memory", async () => openMemoryStore());
storeContract("directory", () => openDirectoryStore(mkdtempSync(join(scratch, "repository-"))));
