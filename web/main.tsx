// Where the page starts: language and theme, workbench, then the first paint.
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { preloadMarkdown } from "./markdown/markdown-view.tsx";
import { apply } from "./preferences.ts";
import { ServerStore } from "./store-server.ts";
import { Workbench } from "./workbench.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";
import "./styles/chat.css";
import "./styles/markdown.css";
import "./styles/desk.css";

apply();
const workbench = new Workbench(new ServerStore());
const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App workbench={workbench} />);
workbench.start();
setTimeout(preloadMarkdown, 300); // after the first paint, before the first answer
