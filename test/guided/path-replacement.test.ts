import { replacementContract } from "../contracts/replacement.ts";
import { pathCase } from "../support/path-cases.ts";
import { ROWS } from "./path-rows.ts";

for (const row of ROWS) replacementContract(row.name, () => pathCase(row));
