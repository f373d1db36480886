// The page's build: `npm run build` writes web/dist, which the server hands out. Assets are never inlined into CSS, because the
// page's Content-Security-Policy allows fonts from 'self' only, not from data: addresses.
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** KaTeX names each font three times; every browser that can run the page reads WOFF2, so the other two stay out of the build. */
const woff2Only: Plugin = {
  name: "woff2-only",
  enforce: "pre",
  transform(code, id) {
    if (!id.includes("katex") || !id.endsWith(".css")) return;
    return { code: code.replaceAll(/,url\([^)]*\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)/g, ""), map: null };
  },
};

const server = "http://127.0.0.1:7860";

export default defineConfig({
  plugins: [woff2Only, react()],
  // rehype-katex brings an older KaTeX of its own, whose class names the newer style sheet does not know.
  resolve: { dedupe: ["katex"] },
  build: {
    target: ["chrome123", "firefox128", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/v1": server, "/status": server, "/tokenize": server, "/health": server, "/workspace": server },
  },
});
