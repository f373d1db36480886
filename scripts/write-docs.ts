// Writes the parts of docs/ that are made from code. Run it after changing the settings table.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { settingsMarkdown } from "../src/base/settings.ts";

writeFileSync(path.join(import.meta.dirname, "../docs/settings.md"), settingsMarkdown());
