import { writeFileSync } from "node:fs";
import { generatedSchemas } from "./lib/schemas.ts";

// Run after a change of src/policy/schema.ts or of a report.ts: sh scripts/node scripts/generate-schemas.ts
const root = new URL("../", import.meta.url);
for (const [path, text] of generatedSchemas()) writeFileSync(new URL(path, root), text);
