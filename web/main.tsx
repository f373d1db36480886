// Where the page starts: language and theme, store, workbench, then the first paint.
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { preloadMarkdown } from "./markdown/markdown-view.tsx";
import { apply, preferences } from "./preferences.ts";
import { openBrowserStore } from "./store-indexeddb.ts";
import { openMemoryStore } from "./store-memory.ts";
import { strings } from "./strings.ts";
import { showToast } from "./ui/toasts.tsx";
import { Workbench } from "./workbench.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";
import "./styles/chat.css";
import "./styles/markdown.css";

apply();
const store = await openBrowserStore().catch(() => {
  showToast({ text: strings[preferences.value.language].errors.noStorage ?? "", isError: true });
  return openMemoryStore();
});
const workbench = new Workbench(store);
const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App workbench={workbench} />);
void workbench.start();
setTimeout(preloadMarkdown, 300); // after the first paint, before the first answer
