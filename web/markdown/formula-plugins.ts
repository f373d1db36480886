// KaTeX, in a chunk of its own: loaded with the first formula. `trust: false` (the default) keeps \href and \includegraphics out.
import "katex/dist/katex.min.css";
import rehypeKatex from "rehype-katex";
import remarkMath from "remark-math";
import type { Extras } from "./render.tsx";

export const formulaPlugins: Extras = {
  remark: [[remarkMath, { singleDollarTextMath: false }]],
  rehype: [
    [rehypeKatex, { throwOnError: false, strict: false, maxExpand: 500, maxSize: 40, errorColor: "currentColor" }],
  ],
};
