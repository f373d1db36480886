// A PDF that needs a password: RC4, revision 2, user password "geheim", one page with "Secret text", made by the algorithm of the PDF
// reference (7.6.4).
import { createHash } from "node:crypto";
import { joinBytes } from "./fixtures.ts";

export const encryptedPdf = ((): Uint8Array => {
  const padding = Buffer.from("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A", "hex");
  const padded = (password: string): Buffer => Buffer.concat([Buffer.from(password), padding]).subarray(0, 32);
  const rc4 = (key: Uint8Array, data: Uint8Array): Buffer => {
    const state = Uint8Array.from({ length: 256 }, (_, index) => index);
    for (let i = 0, j = 0; i < 256; i++) {
      j = (j + (state[i] ?? 0) + (key[i % key.length] ?? 0)) & 255;
      [state[i], state[j]] = [state[j] ?? 0, state[i] ?? 0];
    }
    let [i, j] = [0, 0];
    return Buffer.from(
      Uint8Array.from(data, (byte) => {
        i = (i + 1) & 255;
        j = (j + (state[i] ?? 0)) & 255;
        [state[i], state[j]] = [state[j] ?? 0, state[i] ?? 0];
        return byte ^ (state[((state[i] ?? 0) + (state[j] ?? 0)) & 255] ?? 0);
      }),
    );
  };
  const md5 = (data: Uint8Array): Buffer => createHash("md5").update(data).digest();
  const owner = rc4(md5(padded("owner")).subarray(0, 5), padded("geheim"));
  const id = Buffer.alloc(16, 7);
  const key = md5(Buffer.concat([padded("geheim"), owner, Buffer.from([0xfc, 0xff, 0xff, 0xff]), id])).subarray(0, 5);
  const user = rc4(key, padding);
  const content = rc4(
    md5(Buffer.concat([key, Buffer.from([4, 0, 0, 0, 0])])).subarray(0, 10),
    Buffer.from("BT /F1 12 Tf 60 700 Td (Secret text) Tj ET"),
  );
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>",
    joinBytes([`<< /Length ${content.length} >>\nstream\n`, content, "\nendstream"]),
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    `<< /Filter /Standard /V 1 /R 2 /O <${owner.toString("hex")}> /U <${user.toString("hex")}> /P -4 >>`,
  ];
  const body = objects.map((object, index) => joinBytes([`${index + 1} 0 obj\n`, object, "\nendobj\n"]));
  const offsets = body.map((_, index) => 9 + body.slice(0, index).reduce((sum, part) => sum + part.length, 0));
  const table = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  const start = 9 + body.reduce((sum, part) => sum + part.length, 0);
  return joinBytes([
    "%PDF-1.4\n",
    ...body,
    `xref\n0 7\n0000000000 65535 f \n${table}trailer\n<< /Size 7 /Root 1 0 R /Encrypt 6 0 R /ID [<${id.toString("hex")}> <${id.toString("hex")}>] >>\nstartxref\n${start}\n%%EOF\n`,
  ]);
})();
