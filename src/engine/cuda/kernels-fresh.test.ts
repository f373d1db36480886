// The PTX in the repository belongs to the sources beside it. Hashes are compared always; QUERN_TEST_KERNELS=1 also compiles everything anew
// (half a minute, needs nvcc) and compares the text.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import {
  buildKernels,
  compiledHash,
  hasCompiler,
  kernelShapes,
  ptxName,
  readStamp,
  sourceHash,
  targets,
} from "../../../kernels/build.ts";
import { compiledName, kernelShapes as engineShapes } from "./kernels.ts";

const ptx = path.join(import.meta.dirname, "../../../kernels/ptx");
const stamp = readStamp();

test("the kernels' PTX was built from the sources in the repository", () => {
  assert.ok(stamp, "kernels/ptx has no stamp: run `npm run kernels`");
  assert.equal(stamp.sources, sourceHash(), "kernels/*.cu changed since the PTX was built: run `npm run kernels`");
  for (const shape of Object.keys(kernelShapes)) {
    for (const target of targets) {
      const name = ptxName(shape, target);
      const text = readFileSync(path.join(ptx, name), "utf8");
      assert.equal(createHash("sha256").update(text).digest("hex"), stamp.files[name], `${name} is not what was built`);
      assert.match(text, new RegExp(`^\\.target ${target.architecture}$`, "m"));
      const compiled = compiledName(name);
      assert.equal(compiledHash(path.join(ptx, compiled)), stamp.files[compiled], `${compiled} is not what was built`);
    }
  }
});

test("PTX asks for no newer driver than its instructions need", () => {
  const least = { sm_80: "7.0", sm_90: "8.0", sm_90a: "8.0" };
  for (const shape of Object.keys(kernelShapes)) {
    for (const target of targets) {
      const text = readFileSync(path.join(ptx, ptxName(shape, target)), "utf8");
      assert.equal(/^\.version (\S+)$/m.exec(text)?.[1], least[target.architecture]);
    }
  }
});

test("the engine and the build agree on the shapes", () => {
  for (const { name, hidden, feedForward, heads, kvHeads, vocabularyTokens } of engineShapes) {
    assert.deepEqual(kernelShapes[name as keyof typeof kernelShapes], {
      ...{ HIDDEN: hidden, FEED_FORWARD: feedForward, HEADS: heads, KV_HEADS: kvHeads },
      VOCABULARY: vocabularyTokens,
    });
  }
});

const cannotCompile = !process.env.QUERN_TEST_KERNELS
  ? "set QUERN_TEST_KERNELS=1 to compile the kernels anew"
  : !hasCompiler() && "there is no nvcc";
test("compiling the sources again gives the same PTX", { skip: cannotCompile }, () => {
  const target = mkdtempSync(path.join(os.tmpdir(), "quern-ptx-"));
  try {
    const built = buildKernels(target);
    if (built.compiler !== stamp?.compiler) {
      console.log(`Another nvcc (${built.compiler}, the stamp says ${stamp?.compiler}): the text may differ.`);
      return;
    }
    assert.deepEqual(built.files, stamp.files);
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
});
