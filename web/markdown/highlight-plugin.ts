// Syntax colours, in a chunk of their own: loaded with the first code fence.
import rehypeHighlight from "rehype-highlight";
import type { Extras } from "./render.tsx";

export const highlightPlugins: Extras = { remark: [], rehype: [[rehypeHighlight, { detect: false }]] };
