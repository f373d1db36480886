// The wasm module of PDFium: loading it, calling it, its memory. Everything that knows a pointer imports this file, and nothing else does.
import { PDFiumModule } from "@hyzyla/pdfium";
import { AppError } from "../base/errors.ts";

type Call = (...values: number[]) => number;

/** The parts of the wasm module used here; the package types only a few of the functions that it exports. */
export interface Pdfium {
  HEAPU8: Uint8Array;
  wasmExports: Record<string, Call>;
}

let loading: Promise<Pdfium> | undefined;

export async function loadPdfium(): Promise<Pdfium> {
  loading ??= (PDFiumModule as unknown as (options: object) => Promise<Pdfium>)({}).then((module) => {
    module.wasmExports.FPDF_InitLibrary?.();
    return module;
  });
  return loading;
}

/** After a trap the module's memory is in an unknown state; the next file gets a new one. */
export function discardPdfium(): void {
  loading = undefined;
}

export type Native = (call: string, ...values: number[]) => number;

export function nativeCalls(module: Pdfium): Native {
  return (name, ...values) => {
    const call = module.wasmExports[name];
    if (!call) throw new AppError("internal", `PDFium lacks ${name}.`);
    try {
      return call(...values);
    } catch (error) {
      discardPdfium();
      throw error;
    }
  };
}

/** An open file's way into the module: its functions, and a piece of its memory for their results. */
export class PdfiumAccess implements Disposable {
  readonly module: Pdfium;
  readonly native: Native;
  /** 512 bytes; each user overwrites it. */
  readonly scratch: number;
  #memory: DataView | undefined;

  constructor(module: Pdfium, native: Native) {
    this.module = module;
    this.native = native;
    this.scratch = native("malloc", 512);
  }

  /** The module's memory; a new view only when it has grown. */
  view(): DataView {
    const { buffer } = this.module.HEAPU8;
    if (this.#memory?.buffer !== buffer) this.#memory = new DataView(buffer);
    return this.#memory;
  }

  [Symbol.dispose](): void {
    this.native("free", this.scratch);
  }
}
