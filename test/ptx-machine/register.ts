// Gives the engine the PTX machine in the place of the CUDA driver, in this process and its threads:
//
//   node --import ./test/ptx-machine/register.ts --test src/engine/cuda/kernels.gpu.test.ts
//
// PTX_CAPABILITY (90) chooses the kernels, PTX_MULTIPROCESSORS (8) the blocks over which persistent ones are dealt, PTX_COPIES when asynchronous
// copies are made: late (only when they are waited for, so that a missing wait shows) or early (so that a slot overwritten too soon shows), PTX_RACES what
// becomes of races in shared memory: told, refused, or (races.ts is slow) unchecked.
import { useDriver as replaceDriver } from "../../src/engine/cuda/bindings.ts";
import { makeDriver } from "./driver.ts";

const { PTX_CAPABILITY = "90", PTX_MULTIPROCESSORS = "8", PTX_COPIES = "late", PTX_RACES = "" } = process.env;
const capability = Number(PTX_CAPABILITY);
replaceDriver(
  makeDriver({
    capability,
    multiprocessors: Number(PTX_MULTIPROCESSORS),
    sharedBytes: capability >= 90 ? 227 * 1024 : 99 * 1024,
    races: PTX_RACES === "told" || PTX_RACES === "refused" ? PTX_RACES : "unchecked",
    copies: PTX_COPIES === "early" ? "early" : "late",
  }),
);
