// The PTX machine itself: what it computes, and that it says where a kernel goes wrong.
import assert from "node:assert/strict";
import test from "node:test";
import { compile } from "./compile.ts";
import { Machine, type MachineOptions } from "./machine.ts";
import { parsePtx } from "./parse.ts";
import { allocations, Memory } from "./runtime.ts";

const usual: MachineOptions = { mostBlocks: 4, copies: "late", races: "refused" };

/** Runs one block of a kernel whose only parameter is an address of 1,024 bytes that begin as the numbers 0, 1, 2, …; returns them as words. */
function run(body: string, options: { threads?: number } & Partial<MachineOptions> = {}): Int32Array {
  const { threads = 32, ...changes } = options;
  const text = `
.version 8.0
.target sm_90
.extern .shared .align 16 .b8 shared[];
.visible .entry tried(
	.param .u64 tried_param_0
)
{
	.reg .pred 	%p<9>;
	.reg .f32 	%f<9>;
	.reg .b32 	%r<20>;
	.reg .b64 	%rd<20>;
	ld.param.u64 	%rd1, [tried_param_0];
	cvta.to.global.u64 	%rd2, %rd1;
	mov.u32 	%r1, %tid.x;
	mul.wide.u32 	%rd3, %r1, 4;
	add.s64 	%rd4, %rd2, %rd3;
	shl.b32 	%r2, %r1, 2;
	mov.u32 	%r3, shared;
	add.s32 	%r4, %r3, %r2;
${body}
	ret;
}
`;
  const module = parsePtx(text);
  const ptx = module.function("tried");
  assert.ok(ptx);
  const machineOptions = { ...usual, ...changes };
  const program = compile(ptx, { dynamicShared: module.dynamicShared, checksRaces: true });
  const memory = new Memory(1024, "the tried memory");
  for (let index = 0; index < 256; index++) memory.i32[index] = index;
  const high = allocations.push(memory) - 1;
  const parameters = new Memory(16, "parameters");
  parameters.i32[1] = high;
  try {
    new Machine(machineOptions).launch({
      ...{ program, threads, parameters, clusterSize: 1 },
      ...{ grid: [1, 1, 1], dynamicShared: 1024 },
    });
  } finally {
    allocations[high] = undefined;
  }
  return memory.i32;
}

test("64-bit sums carry, lanes part at a branch and meet again", () => {
  const words = run(`
	ld.global.u32 	%r5, [%rd4];
	cvt.u64.u32 	%rd5, %r5;
	add.s64 	%rd6, %rd5, 4294967295;
	shr.u64 	%rd7, %rd6, 32;
	cvt.u32.u64 	%r6, %rd7;
	setp.lt.u32 	%p1, %r1, 7;
	@%p1 bra 	$L_small;
	mul.lo.s32 	%r6, %r6, 100;
	bra.uni 	$L_end;
$L_small:
	add.s32 	%r6, %r6, 10;
$L_end:
	mov.b32 	%r7, -1;
	shfl.sync.bfly.b32 	%r8|%p2, %r6, 31, 31, %r7;
	st.global.u32 	[%rd4], %r8;`);
  const before = Array.from({ length: 32 }, (_, lane) => (lane < 7 ? 10 + (lane > 0 ? 1 : 0) : 100));
  assert.deepEqual(
    [...words.subarray(0, 32)],
    before.map((_, lane) => before[lane ^ 31]),
  );
});

test("64 bits are compared whole, and what is written for 32 bits alone is refused for 64", () => {
  const words = run(`
	mul.wide.u32 	%rd5, %r1, -1;
	setp.hi.u64 	%p1, %rd5, 47244640245;
	setp.ls.u64 	%p2, %rd5, 47244640245;
	selp.u32 	%r5, 1, 0, %p1;
	selp.u32 	%r6, 2, 0, %p2;
	add.s32 	%r7, %r5, %r6;
	st.global.u32 	[%rd4], %r7;`);
  assert.deepEqual(
    [...words.subarray(0, 32)],
    Array.from({ length: 32 }, (_, lane) => (lane * (2 ** 32 - 1) > 47_244_640_245 ? 1 : 2)),
  );
  assert.throws(() => run("\tpopc.b64 	%r5, %rd4;"), /not known: popc\.b64/);
});

test("half a warp shuffles among those that are there", () => {
  const words = run(`
	mov.u32 	%r8, 0;
	mov.b32 	%r7, -1;
	setp.gt.u32 	%p1, %r1, 15;
	@%p1 bra 	$L_end;
	activemask.b32 %r7;
	mov.u32 	%r5, 1;
	shfl.sync.bfly.b32 	%r8|%p2, %r1, %r5, 31, %r7;
$L_end:
	bar.warp.sync 	-1;
	st.global.u32 	[%rd4], %r8;`);
  assert.deepEqual(
    [...words.subarray(0, 32)],
    Array.from({ length: 32 }, (_, lane) => (lane < 16 ? lane ^ 1 : 0)),
  );
});

test("a true predicate turned over is false", () => {
  const words = run(`
	setp.lt.u32 	%p1, %r1, 4;
	xor.pred  	%p2, %p1, -1;
	selp.u32 	%r5, 1, 0, %p2;
	mov.u32 	%r6, 16909060;
	dp4a.s32.s32 	%r7, %r6, %r6, %r5;
	st.global.u32 	[%rd4], %r7;`);
  assert.deepEqual(
    [...words.subarray(0, 32)],
    Array.from({ length: 32 }, (_, lane) => 30 + (lane < 4 ? 0 : 1)),
  );
});

test("a product of bytes is that of the plain sum", () => {
  const words = run(`
	ld.global.u32 	%r5, [%rd4];
	ld.global.u32 	%r6, [%rd4+128];
	mov.u32 	%r9, 0;
	mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r10,%r11,%r12,%r13}, {%r5,%r6,%r5,%r6}, {%r6,%r5}, {%r9,%r1,%r9,%r9};
	st.global.u32 	[%rd4], %r11;`);
  // Lane's row is g, its column 2t + 1; a row of A is the low byte of its four lanes' words, a column of B that of the column's lanes.
  for (let lane = 0; lane < 32; lane++) {
    const [row, column] = [lane >> 2, (lane & 3) * 2 + 1];
    let sum = lane;
    for (let t = 0; t < 4; t++) sum += (row * 4 + t) * (column * 4 + t + 32) + (row * 4 + t) * (column * 4 + t);
    assert.equal(words[lane], sum, `lane ${lane}`);
  }
});

test("an access outside its allocation or off its alignment names kernel, memory and line", () => {
  assert.throws(
    () => run("\tst.global.u32 	[%rd4+1000], %r1;"),
    /kernel tried: 4 bytes at 0x400 of the tried memory: outside/,
  );
  assert.throws(() => run("\tst.global.u32 	[%rd4+2], %r1;"), /not a multiple of 4.*lines \d+-\d+/);
  assert.throws(() => run("\tst.shared.u32 	[%r4+1024], %r1;"), /shared memory: outside its 1024 bytes/);
  assert.throws(() => run("\tmov.u64 	%rd5, 64;\n\tld.global.u32 	%r5, [%rd5];"), /no allocation/);
});

const exchange = (barrier: string): string => `
	st.shared.u32 	[%r4], %r1;
	${barrier}
	xor.b32 	%r5, %r2, 128;
	add.s32 	%r6, %r3, %r5;
	ld.shared.u32 	%r7, [%r6];
	st.global.u32 	[%rd4], %r7;`;

test("what two warps do to one place without a barrier between is a race", () => {
  const words = run(exchange("bar.sync 0;"), { threads: 64 });
  assert.deepEqual(
    [...words.subarray(0, 64)],
    Array.from({ length: 64 }, (_, thread) => thread ^ 32),
  );
  assert.throws(() => run(exchange(""), { threads: 64 }), /a race at byte \d+: tried: shared memory/);
  assert.doesNotThrow(() => run(exchange(""), { threads: 64, races: "unchecked" }));
});

const fetch = (wait: string): string => `
	setp.ne.s32 	%p1, %r1, 0;
	add.s32 	%r5, %r3, 512;
	mov.u32 	%r6, 256;
	@%p1 bra 	$L_made;
	mbarrier.init.shared::cta.b64 [%r5], 1;
$L_made:
	bar.sync 	0;
	@%p1 bra 	$L_asked;
	mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r5], %r6;
	cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd2], %r6, [%r5];
$L_asked:
	mov.u32 	%r7, 0;
${wait}
	ld.shared.u32 	%r9, [%r4];
	st.global.u32 	[%rd4+512], %r9;`;
const waiting = `
$L_wait:
	mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r5], %r7;
	selp.u32 	%r8, 1, 0, %p2;
	setp.eq.s32 	%p3, %r8, 0;
	@%p3 bra 	$L_wait;`;

test("a bulk copy is there after its barrier, and without the wait neither there nor in any order", () => {
  const wanted = Array.from({ length: 64 }, (_, thread) => thread);
  for (const copies of ["late", "early"] as const) {
    assert.deepEqual([...run(fetch(waiting), { threads: 64, copies }).subarray(128, 192)], wanted, copies);
  }
  const tooSoon = run(fetch(""), { threads: 64, races: "unchecked" }).subarray(128, 192);
  assert.ok(wanted.every((value, thread) => tooSoon[thread] !== value));
  assert.throws(() => run(fetch(""), { threads: 64, copies: "early" }), /a race at byte/);
});

test("warps that wait for what never comes are named with their lines", () => {
  const forever = fetch(waiting).replace("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r5], %r6;", "");
  assert.throws(
    () => run(forever.replace(/\tcp\.async\.bulk.*\n/, ""), { threads: 64 }),
    /all warps wait in vain:\nblock 0, 0, 0, warp 0/,
  );
});
