// QR and bar codes, by ZXing (wasm, loaded on first use; the file comes with the package).
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { prepareZXingModule, readBarcodes as readCodes } from "zxing-wasm/reader";
import type { RasterImage } from "../pdfium.ts";
import type { RecognisedPage } from "../reader.ts";

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
  const { data, info } = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize(atLeastOne(image.width * scale), atLeastOne(image.height * scale), { fit: "fill", kernel: "cubic" })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const codes = await readCodes(
    { data: new Uint8ClampedArray(data), width: info.width, height: info.height, colorSpace: "srgb" },
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

function atLeastOne(pixels: number): number {
  return Math.max(1, Math.round(pixels));
}
