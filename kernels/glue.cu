// The small kernels between the large ones: embedding rows, norm and quantisation for batches, SiLU for batches, row gathering.
#include "activations.cuh"

/// Weight (row, input) of a Q4 matrix in tile order, for the tests.
__device__ __forceinline__ float q4_weight(const uint8_t* matrix, int units, int row, int input) {
  const uint8_t* unit = matrix + ((size_t)(row >> 4) * units + (input >> 8)) * kUnitBytes<kQ4>;
  const int r = row & 15, k = input & 255, group = k >> 5, t = (k & 31) >> 3, e = k & 7;
  const int lane = (r & 7) * 4 + t;
  const uint32_t q = (unit[(group >> 1) * 512 + lane * 16 + ((group & 1) * 2 + (r >> 3)) * 4 + (e & 3)] >> (e < 4 ? 0 : 4)) & 15;
  const uint8_t* header = unit + 2048 + r * 16;
  const uint8_t* three = header + 4 + (group >> 1) * 3;
  const uint32_t pair = three[0] | three[1] << 8 | three[2] << 16;
  const float scale = (float)((pair >> (6 * (group & 1))) & 63), least = (float)((pair >> (12 + 6 * (group & 1))) & 63);
  const float d = half_from_bits(*reinterpret_cast<const uint16_t*>(header)), dmin = half_from_bits(*reinterpret_cast<const uint16_t*>(header + 2));
  // The same roundings as the plain reference: two products and a difference, not fused.
  return __fsub_rn(__fmul_rn(__fmul_rn(d, scale), (float)q), __fmul_rn(dmin, least));
}

/// out[rows][inputs] f32 of a matrix in tile order: the tests compare it bit for bit with the reference. Grid (rows), any block.
extern "C" __global__ void dequantise_q4(const uint8_t* matrix, float* out, int inputs, int pairs) {
  for (int k = threadIdx.x; k < inputs; k += blockDim.x) {
    // With `pairs`, the matrix interleaves eight rows of gate with eight of up: show gate rows first, then up.
    const int row = pairs ? (blockIdx.x >> 3) * 16 + (blockIdx.x & 7) : blockIdx.x;
    out[(size_t)blockIdx.x * inputs + k] = q4_weight(matrix, inputs >> 8, row, k);
  }
}
extern "C" __global__ void dequantise_q6(const uint8_t* matrix, float* out, int inputs) {
  for (int k = threadIdx.x; k < inputs; k += blockDim.x) out[(size_t)blockIdx.x * inputs + k] = q6_weight(matrix, inputs >> 8, blockIdx.x, k);
}

/// x[b] = embedding of the last token of the b-th sequence's slot. Grid (batch).
extern "C" __global__ void embed_slots(const uint8_t* embedding, const int* batch_slot, const int* slot_token, float* x) {
  pdl_launch();
  pdl_wait();
  const int slot = batch_slot[blockIdx.x];
  const int token = slot < 0 ? 0 : __ldcg(slot_token + slot);
  for (int k = threadIdx.x; k < kHidden; k += blockDim.x) x[(size_t)blockIdx.x * kHidden + k] = q6_weight(embedding, kHidden >> 8, token, k);
}
/// x[i] = embedding of tokens[i]. Grid (tokens).
extern "C" __global__ void embed_tokens(const uint8_t* embedding, const int* tokens, float* x) {
  const int token = tokens[blockIdx.x];
  for (int k = threadIdx.x; k < kHidden; k += blockDim.x) x[(size_t)blockIdx.x * kHidden + k] = q6_weight(embedding, kHidden >> 8, token, k);
}
/// out[i] = x[rows[i]]. Grid (rows).
extern "C" __global__ void gather_rows(const float* x, const int* rows, float* out) {
  const size_t from = (size_t)rows[blockIdx.x] * kHidden, to = (size_t)blockIdx.x * kHidden;
  for (int k = threadIdx.x; k < kHidden; k += blockDim.x) out[to + k] = x[from + k];
}

/// Batches: x[b] += the planes of the product before; q8 of its norm. Grid (batch), kBlock threads.
/// planes [count][columns][hidden]; split[tile] is where gemv_w4a8's second plane begins.
extern "C" __global__ void __launch_bounds__(kBlock) norm_quantise_batch(float* x, const float* planes, int count, const uint8_t* split, const float* gain,
                                                                         float epsilon, int8_t* q8, float2* q8_scales, int columns) {
  __shared__ float scratch[kBlock / 32];
  pdl_launch();
  pdl_wait();
  const int b = blockIdx.x;
  auto sum = [&](int i, float4 (&of)[2]) {
    constexpr int kAtOnce = 10;
    const float* from = planes + (size_t)b * kHidden + i;
    const int last = planes ? count : 0, begin = planes ? split[i >> 4] : 0;
    PlaneSums<2> sums;
#pragma unroll 1
    for (int first = 0; first < last; first += kAtOnce) sums.add_planes<kAtOnce>(from, (size_t)columns * kHidden, first, last, begin);
#pragma unroll
    for (int k = 0; k < 2; k++) of[k] = sums.sum(k);
  };
  auto share = [&](float squares) { return share_in_block(scratch, squares); };
  float* row = x + (size_t)b * kHidden;
  norm_quantise(threadIdx.x * 8, row, sum, planes ? row : nullptr, gain, epsilon, Q8Target{q8, q8_scales, columns, b}, share);
}

#if HOPPER || !defined(__CUDA_ARCH__)
/// Blocks, a cluster, that share a sequence's norm, and the warps of each: a warp has 256 values.
constexpr int kNormBlocks = 4, kNormWarps = (kHidden / 256 + kNormBlocks - 1) / kNormBlocks;
/// Planes on their way at once: few enough that two blocks of a product fit beside.
constexpr int kNormPlanes = 8;

/// norm_quantise_batch for many sequences, whose norms would else wait for one another. Reading planes is what a norm waits for, and a multiprocessor by
/// itself reads slowly, so four share one and hand each other their sums of squares. The planes come by way of shared memory: of loads into registers the
/// compiler lets only a few be on their way together. Grid (batch, 1, kNormBlocks), kNormWarps warps.
extern "C" __global__ void __launch_bounds__(kNormWarps * 32) norm_quantise_cluster(float* x, const float* planes, int count, const uint8_t* split,
                                                                                    const float* gain, float epsilon, int8_t* q8, float2* q8_scales,
                                                                                    int columns) {
  __shared__ float scratch[kNormBlocks * kNormWarps];
  __shared__ float4 room[kNormPlanes][2][kNormWarps * 32];
  cluster_arrive();
  pdl_launch();
  const int b = blockIdx.x, warp = blockIdx.z * kNormWarps + (threadIdx.x >> 5), lane = threadIdx.x & 31;
  pdl_wait();
  auto sum = [&](int i, float4 (&of)[2]) {
    const float* from = planes + (size_t)b * kHidden + i;
    const int last = planes ? count : 0, begin = planes ? split[i >> 4] : 0;
    PlaneSums<2> sums;
#pragma unroll 1
    for (int first = 0; first < last; first += kNormPlanes) {
#pragma unroll
      for (int p = 0; p < kNormPlanes; p++)
        if (first + p < last) {
#pragma unroll
          for (int k = 0; k < 2; k++) copy16_async(&room[p][k][threadIdx.x], from + (size_t)(first + p) * columns * kHidden + 4 * k);
        }
      copy_commit();
      copy_wait<0>();
#pragma unroll
      for (int p = 0; p < kNormPlanes; p++)
#pragma unroll
        for (int k = 0; k < 2; k++) sums.add(k, room[p][k][threadIdx.x], first + p < begin, first + p >= begin && first + p < last);
    }
#pragma unroll
    for (int k = 0; k < 2; k++) of[k] = sums.sum(k);
  };
  auto share = [&](float squares) {
    cluster_wait();                                                                          // every block has begun
    if (lane < kNormBlocks) store_to_block(shared_address(scratch + warp), lane, squares);
    cluster_sync();
    return scratch;
  };
  float* row = x + (size_t)b * kHidden;
  norm_quantise((warp * 32 + lane) * 8, row, sum, planes ? row : nullptr, gain, epsilon, Q8Target{q8, q8_scales, columns, b}, share);
}
#endif

constexpr int kRowBlock = 128, kGateUpPlanes = kHidden / 256 / kSegmentUnits;

/// Batches: q8 of silu(gate) * up from the planes of batch_gate_up. Grid (ceil(feed_forward / 512), batch), kRowBlock threads.
/// Few registers a thread and small blocks, so that beside them the next product's come up and ask for their weights.
extern "C" __global__ void __launch_bounds__(kRowBlock, 16) silu_quantise_batch(const float* planes, int8_t* q8, float2* q8_scales, int columns) {
  pdl_launch();
  pdl_wait();
  const int i = (blockIdx.x * kRowBlock + threadIdx.x) * 4, b = blockIdx.y;
  if (i >= kFeedForward) return;                                     // whole warps: feed_forward is a multiple of 128
  const float* from = planes + (size_t)b * 2 * kFeedForward + (i >> 3) * 16 + (i & 7);
  const size_t stride = (size_t)columns * 2 * kFeedForward;
  PlaneSums<2> sums;
#pragma unroll
  for (int k = 0; k < 2; k++) {                                      // gate, and eight further up
    float4 v[kGateUpPlanes];
#pragma unroll
    for (int p = 0; p < kGateUpPlanes; p++) v[p] = __ldcg(reinterpret_cast<const float4*>(from + p * stride + 8 * k));
#pragma unroll
    for (int p = 0; p < kGateUpPlanes; p++) sums.add(k, v[p], true, false);
  }
  const float4 gate = sums.sum(0), up = sums.sum(1);
  auto one = [](float a, float c) { return __half2float(__float2half_rn(fminf(fmaxf(silu(a) * c, -65504.0f), 65504.0f))); };
  float2 scale;
  const uint32_t packed = quantise_group(make_float4(one(gate.x, up.x), one(gate.y, up.y), one(gate.z, up.z), one(gate.w, up.w)), scale);
  Q8Target{q8, q8_scales, columns, b}.store(i, packed, scale);
}

/// Sets `count` words: the engine's own fill, so that a start needs no second library.
extern "C" __global__ void fill_words(uint32_t* out, uint32_t value, unsigned long long count) {
  for (unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x; i < count; i += gridDim.x * (unsigned long long)blockDim.x) out[i] = value;
}
/// Reads everything once: the memory bus's own speed, to hold the others against.
extern "C" __global__ void read_all(const uint4* from, unsigned long long count, uint32_t* out) {
  uint32_t sum = 0;
  for (unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x; i < count; i += gridDim.x * (unsigned long long)blockDim.x) {
    const uint4 v = __ldcs(from + i);
    sum ^= v.x ^ v.y ^ v.z ^ v.w;
  }
  if (sum == 0x12345) *out = sum;
}
