/** How far the work on a request's files is, before its answer begins. */
export interface FileProgress {
  /** Pages read, passages compared with the question, sections summarised, summaries merged. */
  stage: "reading" | "comparing" | "sections" | "merging";
  /** The file's. */
  name: string;
  done: number;
  all: number;
}
