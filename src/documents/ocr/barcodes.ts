// QR and bar codes, by ZXing (wasm, loaded on first use; the file comes with the package).
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { prepareZXingModule, readBarcodes as readCodes } from "zxing-wasm/reader";
import type { RasterImage } from "../pdfium.ts";
import type { RecognisedPage } from "../reader.ts";
import { resized } from "./raster.ts";

/** Codes are large on a page; at this size a code of 3 cm on A4 still has 5 pixels a module. */
const longestSide = 1200;
let preparing: Promise<unknown> | undefined;

async function prepare(): Promise<void> {
  preparing ??= readFile(fileURLToPath(import.meta.resolve("zxing-wasm/reader/zxing_reader.wasm"))).then((wasm) =>
    prepareZXingModule({
      overrides: { wasmBinary: wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength) as ArrayBuffer },
      fireImmediately: true,
    }),
  );
  await preparing;
}

export async function readBarcodes(image: RasterImage): Promise<RecognisedPage["barcodes"]> {
  await prepare();
  const scale = Math.min(1, longestSide / Math.max(image.width, image.height));
  const small = await resized(image, Math.round(image.width * scale), Math.round(image.height * scale));
  const rgba = new Uint8ClampedArray(small.width * small.height * 4).fill(255);
  for (let from = 0, to = 0; from < small.data.length; from += 3, to += 4)
    rgba.set(small.data.subarray(from, from + 3), to);
  const codes = await readCodes(
    { data: rgba, width: small.width, height: small.height, colorSpace: "srgb" },
    { tryHarder: false, tryInvert: false, tryDownscale: false, tryDenoise: false, maxNumberOfSymbols: 50 },
  );
  return codes
    .filter((code) => code.isValid)
    .map(({ format, text, position }) => {
      const corners = [position.topLeft, position.topRight, position.bottomLeft, position.bottomRight];
      const xs = corners.map((corner) => corner.x / scale);
      const ys = corners.map((corner) => corner.y / scale);
      return { format, text, box: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] };
    });
}
