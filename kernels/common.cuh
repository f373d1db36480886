// What every kernel of the engine stands on: the model's shape, programmatic dependent launch, asynchronous copies into shared memory,
// tensor-core products and reductions. One PTX file is built per shape and architecture (build.ts passes the SHAPE_ constants).
//
// Two rules hold everywhere. Before pdl_wait() a kernel touches only what no kernel of the same step writes: weights, the pages of earlier
// tokens, slot positions (decode_layers comes up while the step before is at work, and waits for these too). And activations are read with __ldcg (level 2 only) and never through a restrict pointer: a load that the
// compiler lifts over the wait, or that level 1 still holds from an earlier kernel, is a race.
#pragma once
#include <cuda_fp16.h>
#include <stdint.h>

constexpr int kHidden = SHAPE_HIDDEN, kFeedForward = SHAPE_FEED_FORWARD, kHeads = SHAPE_HEADS, kKvHeads = SHAPE_KV_HEADS;
constexpr int kVocabulary = SHAPE_VOCABULARY;
constexpr int kHeadDim = 128;
constexpr int kGroup = kHeads / kKvHeads;            // query heads that share a KV head
constexpr int kQueryRows = kHeads * kHeadDim, kKvRows = kKvHeads * kHeadDim;
constexpr int kQkvRows = kQueryRows + 2 * kKvRows;
static_assert(kGroup == 4, "attention packs four query heads of one KV head");

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define HOPPER 1
#else
#define HOPPER 0
#endif

// ---- programmatic dependent launch (nothing below sm_90: there a kernel starts when the one before has ended) ----

__device__ __forceinline__ void pdl_wait() {
#if HOPPER
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// Lets the next kernel of the stream come up beside this one; it still waits for all of this one's writes in its own pdl_wait().
__device__ __forceinline__ void pdl_launch() {
#if HOPPER
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ __forceinline__ uint32_t shared_address(const void* p) { return (uint32_t)__cvta_generic_to_shared(p); }

#if HOPPER
// ---- clusters of blocks that reach each other's shared memory ----

/// The same place in the shared memory of the cluster's block `block`.
__device__ __forceinline__ uint32_t shared_address_in(uint32_t block, uint32_t shared_at) {
  uint32_t at;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(shared_at), "r"(block));
  return at;
}
__device__ __forceinline__ void store_to_block(uint32_t shared_at, uint32_t block, float v) {
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(shared_address_in(block, shared_at)), "f"(v) : "memory");
}
__device__ __forceinline__ void store_to_block(uint32_t shared_at, uint32_t block, float4 v) {
  asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(shared_address_in(block, shared_at)), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w) : "memory");
}
/// All threads of the cluster arrive and wait; what they wrote before is there after.
__device__ __forceinline__ void cluster_arrive() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
__device__ __forceinline__ void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}
#endif

// ---- asynchronous copies ----

__device__ __forceinline__ void copy16_async(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(__cvta_generic_to_global(global)) : "memory");
}
__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING> __device__ __forceinline__ void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }

__device__ __forceinline__ void barrier_init(uint64_t* bar) {
#if HOPPER
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(bar)) : "memory");
#endif
}
/// Makes freshly initialised barriers visible to the copy engine; then the threads still need a barrier among themselves.
__device__ __forceinline__ void barrier_init_done() {
#if HOPPER
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
__device__ __forceinline__ void barrier_arrive(uint64_t* bar) {
#if HOPPER
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(bar)) : "memory");
#endif
}
/// Announces bytes without copying them: several copies then complete on one barrier.
__device__ __forceinline__ void barrier_expect(uint64_t* bar, uint32_t bytes) {
#if HOPPER
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(bar)), "r"(bytes) : "memory");
#endif
}
__device__ __forceinline__ void bulk_copy_announced(void* shared, const void* global, uint32_t bytes, uint64_t* bar) {
#if HOPPER
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared_address(shared)),
               "l"(__cvta_generic_to_global(global)), "r"(bytes), "r"(shared_address(bar))
               : "memory");
#endif
}
/// One thread asks the copy engine for `bytes` (a multiple of 16); `bar` flips its phase when they are there.
__device__ __forceinline__ void bulk_copy(void* shared, const void* global, uint32_t bytes, uint64_t* bar) {
  barrier_expect(bar, bytes);
  bulk_copy_announced(shared, global, bytes, bar);
}
__device__ __forceinline__ void barrier_wait(uint64_t* bar, uint32_t parity) {
#if HOPPER
  uint32_t done = 0;
  while (!done) {
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                 : "=r"(done)
                 : "r"(shared_address(bar)), "r"(parity)
                 : "memory");
  }
#endif
}

/// Whether the phase has ended, without waiting.
__device__ __forceinline__ bool barrier_test(uint64_t* bar, uint32_t parity) {
  uint32_t done = 0;
#if HOPPER
  asm volatile("{\n.reg .pred p;\nmbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
               : "=r"(done)
               : "r"(shared_address(bar)), "r"(parity)
               : "memory");
#endif
  return done;
}

/// A warp's own ring of DEPTH slots in shared memory. No block barrier is needed: the warp that asks is the warp that reads.
/// Use: load(0..DEPTH-1), then for n = 0, 1, ...: wait(n), read slot(n), __syncwarp(), load(n + DEPTH). load() must be called for every n,
/// with bytes = 0 when nothing is left, because below sm_90 the copies are counted.
template <int SLOT_BYTES, int DEPTH> struct WarpRing {
  uint8_t* slots;
  uint64_t* bars;
  int lane;
  __device__ __forceinline__ WarpRing(uint8_t* all_slots, uint64_t* all_bars, int warp, int lane_) : lane(lane_) {
    slots = all_slots + (size_t)warp * DEPTH * SLOT_BYTES;
    bars = all_bars + warp * DEPTH;
    if (lane == 0) {
      for (int d = 0; d < DEPTH; d++) barrier_init(bars + d);
      barrier_init_done();
    }
    __syncwarp();
  }
  __device__ __forceinline__ uint8_t* slot(int n) const { return slots + (n % DEPTH) * SLOT_BYTES; }
  __device__ __forceinline__ void load(int n, const uint8_t* source, int bytes) {
#if HOPPER
    if (lane == 0 && bytes > 0) bulk_copy(slot(n), source, bytes, bars + n % DEPTH);
#else
    for (int at = lane * 16; at < bytes; at += 512) copy16_async(slot(n) + at, source + at);
    copy_commit();
#endif
  }
  __device__ __forceinline__ void wait(int n) {
#if HOPPER
    barrier_wait(bars + n % DEPTH, (n / DEPTH) & 1);
#else
    copy_wait<DEPTH - 1>();
    __syncwarp();
#endif
  }
};

// ---- tensor cores. In every fragment g = lane / 4 and t = lane % 4. ----

/// C[16 x 8] += A[16 x 32] B[32 x 8], int8. a0, a2: row g; a1, a3: row g + 8; b: column g. c: rows g, g + 8 by columns 2t, 2t + 1.
/// Thread t holds four k in a0/a1/b0 and four in a2/a3/b1: which four is free as long as A and B agree.
__device__ __forceinline__ void mma_s8(int (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
/// The same with bytes of A as 0..255.
__device__ __forceinline__ void mma_u8(int (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void mma_f16(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)));
}

/// An accumulator that starts at this integer reads, as a float, 2^23 * 1.5 + the sum: a conversion for the price of a subtraction,
/// exact for |sum| < 2^22.
constexpr int kMagic = 0x4B400000;
__device__ __forceinline__ float from_magic(int c) { return __int_as_float(c) - 12582912.0f; }
/// 0 <= v < 2^23 as a float.
__device__ __forceinline__ float small_to_float(uint32_t v) { return __int_as_float(0x4B000000 | v) - 8388608.0f; }

// ---- reductions and small helpers ----

__device__ __forceinline__ float warp_sum(float v) {
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
  return v;
}
__device__ __forceinline__ float warp_max(float v) {
  for (int o = 16; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(~0u, v, o));
  return v;
}
/// The same of values that are not negative, in one instruction: their bits are in the same order.
__device__ __forceinline__ float warp_largest(float v) { return __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(v))); }
__device__ __forceinline__ float exp2_fast(float v) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
__device__ __forceinline__ uint32_t half2_bits(float low, float high) {
  __half2 h = __floats2half2_rn(low, high);
  return *reinterpret_cast<uint32_t*>(&h);
}
__device__ __forceinline__ uint16_t half_bits(float v) { return __half_as_ushort(__float2half_rn(v)); }
__device__ __forceinline__ float half_from_bits(uint16_t v) { return __half2float(__ushort_as_half(v)); }
__device__ __forceinline__ float silu(float v) { return __fdividef(v, 1.0f + __expf(-v)); }
