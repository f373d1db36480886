// gemm_batch_w4a8: Y = W X for 2 to 32 sequences, the same weights and the same arithmetic as gemv_w4a8, but the columns of the tensor-core
// product are sequences. A block owns 128 rows (a warp a row tile of 16) and one segment of inputs at a time; all its warps share the
// segment's activations. Each segment's sums go to their own plane and the reader adds the planes in the order of gemv_w4a8, so a sequence's
// numbers are the same bit for bit, whoever runs beside it. The LM head keeps the running sum itself and writes logits.
#include "activations.cuh"

constexpr int kBatchBlock = 256, kBatchWarps = kBatchBlock / 32;

struct BatchArgs {
  const uint8_t* part_a;
  const uint8_t* part_b;
  const int8_t* q8;           // [unit][columns], see tiles.cuh
  const float* q8_scales;
  float* out;                 // [segments][columns][rows], or logits [columns][rows]
  int row_blocks_a, row_blocks;
};

template <int NT> struct Accumulators { float v[NT][4][4]; };   // [sequence tile][fragment value][the groups that thread t has in units.cuh]

/// What a row's weights of groups 2p and 2p + 1 are multiplied with: of each group, Q4 {factor, -min}, Q6 a factor for each half.
struct alignas(16) PairScales { float2 of[2]; };
template <int TYPE> __device__ __forceinline__ PairScales pair_scales(const uint8_t* unit, int row, int p) {
  if (TYPE == kQ4) {
    const uint4 header = *reinterpret_cast<const uint4*>(unit + 2048 + row * 16);
    const float d = low_half(header.x), dmin = high_half(header.x);
    const uint32_t pair = q4_pair(header, p);
    return {make_float2(small_to_float(pair & 63) * d, -(small_to_float(pair >> 12 & 63) * dmin)),
            make_float2(small_to_float(pair >> 6 & 63) * d, -(small_to_float(pair >> 18 & 63) * dmin))};
  }
  const uint32_t word = *reinterpret_cast<const uint32_t*>(unit + 3072 + row * 16 + p * 4) ^ 0x80808080u;
  const float d = 0.25f * half_from_bits(*reinterpret_cast<const uint16_t*>(unit + 3328 + row * 2));
  return {make_float2(biased_byte<0>(word) * d, biased_byte<1>(word) * d), make_float2(biased_byte<2>(word) * d, biased_byte<3>(word) * d)};
}
/// On Hopper a warp writes a segment's scales out, once for all its threads and sequences: [unit][pair][row]. Smaller GPUs have no shared memory left for
/// that: there each thread makes them for itself.
constexpr int kSegmentScales = HOPPER ? kSegmentUnits * 4 * 16 : 0;
template <int TYPE> __device__ __forceinline__ void write_scales(const uint8_t* data, PairScales* scales, int lane) {
  static_assert(kSegmentUnits * 16 == 32, "a row of a unit a lane");
  const int row = lane & 15, u = lane >> 4;
  PairScales of_row[4];                                                           // all are made before one is written: what follows a write waits for it
#pragma unroll
  for (int p = 0; p < 4; p++) of_row[p] = pair_scales<TYPE>(data + u * kUnitBytes<TYPE>, row, p);
#pragma unroll
  for (int p = 0; p < 4; p++) scales[(u * 4 + p) * 16 + row] = of_row[p];
  __syncwarp();
}

template <int TYPE, int NT>
__device__ __forceinline__ void batch_segment(const uint8_t* data, const int8_t* xq, const float* xs, PairScales* scales, int lane, Accumulators<NT>& sums) {
  const int g = lane >> 2, t = lane & 3;
  if (HOPPER) write_scales<TYPE>(data, scales, lane);
  const uint32_t in_first_half = t < 2 ? ~0u : 0;                                 // of a group: Q6 has a scale for each
  // Where a pair of groups lies among the activations of a unit. Asked for by the compiler once and not for each unit.
  int values_at[4], scales_at[4];
#pragma unroll
  for (int p = 0; p < 4; p++) {
    values_at[p] = q8_values_at(NT * 8, g, 0, p) * 64 + t * 16;
    scales_at[p] = q8_scales_at(NT * 8, 2 * t, 0, p) * 4;
    asm volatile("" : "+r"(values_at[p]), "+r"(scales_at[p]));
  }
#pragma unroll
  for (int n = 0; n < NT; n++)
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int p = 0; p < 4; p++) sums.v[n][i][p] = 0;
#pragma unroll 1
  for (int u = 0; u < kSegmentUnits; u++) {
    const uint8_t* unit = data + u * kUnitBytes<TYPE>;
#pragma unroll
    for (int p = 0; p < 4; p++) {
      const uint4 v = *reinterpret_cast<const uint4*>(unit + p * 512 + lane * 16);
      Fragment a[2];                                                              // groups 2p and 2p + 1
      if (TYPE == kQ4) {
        a[0] = q4_fragment(v.x, v.y);
        a[1] = q4_fragment(v.z, v.w);
      } else {
        const uint2 low = *reinterpret_cast<const uint2*>(unit + 2048 + (p >> 1) * 512 + lane * 16 + (p & 1) * 8);
        a[0] = q6_fragment(v.x, v.y, low.x);
        a[1] = q6_fragment(v.z, v.w, low.y);
      }
      PairScales of_row[2];                                                       // rows g and g + 8
#pragma unroll
      for (int r = 0; r < 2; r++) of_row[r] = HOPPER ? scales[(u * 4 + p) * 16 + g + 8 * r] : pair_scales<TYPE>(unit, g + 8 * r, p);
#pragma unroll
      for (int n = 0; n < NT; n++) {
        const uint4 b = *reinterpret_cast<const uint4*>(xq + (u * NT + n) * 8 * 256 + values_at[p]);
        const float* of_columns[2] = {xs + (u * NT + n) * 8 * 16 + scales_at[p], xs + ((u * NT + n) * 8 + 1) * 16 + scales_at[p]};
        if (TYPE == kQ4) {
          const float4 of_column[2] = {*reinterpret_cast<const float4*>(of_columns[0]), *reinterpret_cast<const float4*>(of_columns[1])};
#pragma unroll
          for (int e = 0; e < 2; e++) {
            int c[4] = {kMagic, kMagic, kMagic, kMagic};
            mma_s8(c, a[e].a0, a[e].a1, a[e].a2, a[e].a3, e ? b.z : b.x, e ? b.w : b.y);
#pragma unroll
            for (int i = 0; i < 4; i++) {
              const float2 row = of_row[i >> 1].of[e];
              const float4 column = of_column[i & 1];
              float& sum = sums.v[n][i][p];
              sum = fmaf(from_magic(c[i]), row.x * (e ? column.y : column.x), sum);
              sum = fmaf(row.y, e ? column.w : column.z, sum);
            }
          }
        } else {
          const float2 of_column[2] = {*reinterpret_cast<const float2*>(of_columns[0]), *reinterpret_cast<const float2*>(of_columns[1])};
#pragma unroll
          for (int e = 0; e < 2; e++) {
            // The whole group and its first half; their difference, exact, is the second.
            int whole[4] = {kMagic, kMagic, kMagic, kMagic}, first[4] = {kMagic, kMagic, kMagic, kMagic};
            const uint32_t b0 = e ? b.z : b.x, b1 = e ? b.w : b.y;
            mma_s8(whole, a[e].a0, a[e].a1, a[e].a2, a[e].a3, b0, b1);
            mma_s8(first, a[e].a0 & in_first_half, a[e].a1 & in_first_half, a[e].a2 & in_first_half, a[e].a3 & in_first_half, b0, b1);
#pragma unroll
            for (int i = 0; i < 4; i++) {
              const float2 row = of_row[i >> 1].of[e];
              const float column = e ? of_column[i & 1].y : of_column[i & 1].x;
              float& sum = sums.v[n][i][(2 * p + e) & 3];
              sum = fmaf(from_magic(first[i]), row.x * column, sum);
              sum = fmaf(__int_as_float(whole[i]) - __int_as_float(first[i]), row.y * column, sum);
            }
          }
        }
      }
    }
  }
}

// Up to eight sequences two blocks share a multiprocessor, so each ring is shorter.
template <int NT, int SLOT> constexpr int kBatchDepth = !HOPPER ? 1 : NT == 1 ? (SLOT > 5000 ? 1 : 2) : NT == 4 || SLOT > 5000 ? 2 : 3;

template <int UNITS, int TYPE_A, int TYPE_B, bool WHOLE, int NT>
__device__ __forceinline__ void gemm_batch(const BatchArgs& args) {
  constexpr int kSegments = UNITS / kSegmentUnits, kColumns = 8 * NT;
  constexpr int kSlot = kSegmentBytes<(TYPE_A > TYPE_B ? TYPE_A : TYPE_B)>;
  constexpr int kDepth = kBatchDepth<NT, kSlot>;
  constexpr int kValues = kSegmentUnits * kColumns * 256, kScaleBytes = kSegmentUnits * kColumns * 64;
  extern __shared__ __align__(128) uint8_t shared[];
  uint8_t* slots = shared;
  uint8_t* stages = slots + kBatchWarps * kDepth * kSlot;               // two stages of a segment's activations
  PairScales* scales = reinterpret_cast<PairScales*>(stages + 2 * (kValues + kScaleBytes));
  uint64_t* bars = reinterpret_cast<uint64_t*>(scales + kBatchWarps * kSegmentScales);
  uint64_t* stage_bars = bars + kBatchWarps * kDepth;

  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
  const int rows = args.row_blocks * 128;
  // A block's items: (row block, segment) pairs in order; the LM head takes whole row blocks.
  const int per = WHOLE ? kSegments : 1, all = args.row_blocks * kSegments / per;
  const int first = (int)((long long)blockIdx.x * all / gridDim.x) * per, count = (int)((long long)(blockIdx.x + 1) * all / gridDim.x) * per - first;
  if (threadIdx.x == 0) {
    barrier_init(stage_bars);
    barrier_init(stage_bars + 1);
    barrier_init_done();
  }
  WarpRing<kSlot, kDepth> ring(slots, bars, warp, lane);
  auto load = [&](int n) {
    if (n >= count) return ring.load(n, nullptr, 0);
    const int item = first + n, row_block = item / kSegments, seg = item % kSegments;
    if (row_block < args.row_blocks_a)
      ring.load(n, args.part_a + (size_t)((row_block * 8 + warp) * kSegments + seg) * kSegmentBytes<TYPE_A>, kSegmentBytes<TYPE_A>);
    else
      ring.load(n, args.part_b + (size_t)(((row_block - args.row_blocks_a) * 8 + warp) * kSegments + seg) * kSegmentBytes<TYPE_B>, kSegmentBytes<TYPE_B>);
  };
  auto load_stage = [&](int n) {
    if (n >= count) return;
    const int seg = (first + n) % kSegments;
    uint8_t* stage = stages + (n & 1) * (kValues + kScaleBytes);
    const uint8_t* q = reinterpret_cast<const uint8_t*>(args.q8) + (size_t)seg * kValues;
    const uint8_t* s = reinterpret_cast<const uint8_t*>(args.q8_scales) + (size_t)seg * kScaleBytes;
#if HOPPER
    if (threadIdx.x == 0) {
      uint64_t* bar = stage_bars + (n & 1);
      barrier_expect(bar, kValues + kScaleBytes);
      bulk_copy_announced(stage, q, kValues, bar);
      bulk_copy_announced(stage + kValues, s, kScaleBytes, bar);
    }
#else
    for (int i = threadIdx.x * 16; i < kValues; i += kBatchBlock * 16) *reinterpret_cast<uint4*>(stage + i) = __ldcg(reinterpret_cast<const uint4*>(q + i));
    for (int i = threadIdx.x * 16; i < kScaleBytes; i += kBatchBlock * 16)
      *reinterpret_cast<uint4*>(stage + kValues + i) = __ldcg(reinterpret_cast<const uint4*>(s + i));
#endif
  };
#pragma unroll
  for (int n = 0; n < kDepth; n++) load(n);
  pdl_launch();
  pdl_wait();
  __syncthreads();
  load_stage(0);
  load_stage(1);
#if !HOPPER
  __syncthreads();
#endif

  float total[NT][4];
  for (int n = 0; n < count; n++) {
    const int item = first + n, row_block = item / kSegments, seg = item % kSegments;
#if HOPPER
    barrier_wait(stage_bars + (n & 1), (n >> 1) & 1);
#endif
    ring.wait(n);
    const uint8_t* stage = stages + (n & 1) * (kValues + kScaleBytes);
    const int8_t* xq = reinterpret_cast<const int8_t*>(stage);
    const float* xs = reinterpret_cast<const float*>(stage + kValues);
    Accumulators<NT> sums;
    if (TYPE_A == TYPE_B || row_block < args.row_blocks_a) batch_segment<TYPE_A, NT>(ring.slot(n), xq, xs, scales + warp * kSegmentScales, lane, sums);
    else batch_segment<TYPE_B, NT>(ring.slot(n), xq, xs, scales + warp * kSegmentScales, lane, sums);
    __syncthreads();
    load(n + kDepth);
    load_stage(n + 2);
#if !HOPPER
    __syncthreads();
#endif
    const int row = row_block * 128 + warp * 16 + g;
#pragma unroll
    for (int nt = 0; nt < NT; nt++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float* v = sums.v[nt][i];
        const float value = (v[0] + v[1]) + (v[2] + v[3]);
        if (WHOLE) total[nt][i] = seg == 0 ? value : total[nt][i] + value;
        const int column = nt * 8 + 2 * t + (i & 1), at = row + (i >> 1) * 8;
        if (!WHOLE) args.out[((size_t)seg * kColumns + column) * rows + at] = value;
        else if (seg == kSegments - 1) args.out[(size_t)column * rows + at] = total[nt][i];
      }
  }
}

#define BATCH_GEMM(name, units, type_a, type_b, whole, nt)                                                                                      \
  extern "C" __global__ void __launch_bounds__(kBatchBlock, nt == 1 ? 2 : 1) name##_##nt(const BatchArgs args) { gemm_batch<units, type_a, type_b, whole, nt>(args); }
#define BATCH_GEMMS(nt)                                                           \
  BATCH_GEMM(batch_qkv_v4, kHidden / 256, kQ4, kQ4, false, nt)                    \
  BATCH_GEMM(batch_qkv_v6, kHidden / 256, kQ4, kQ6, false, nt)                    \
  BATCH_GEMM(batch_o, kQueryRows / 256, kQ4, kQ4, false, nt)                      \
  BATCH_GEMM(batch_gate_up, kHidden / 256, kQ4, kQ4, false, nt)                   \
  BATCH_GEMM(batch_down_q4, kFeedForward / 256, kQ4, kQ4, false, nt)              \
  BATCH_GEMM(batch_down_q6, kFeedForward / 256, kQ6, kQ6, false, nt)              \
  BATCH_GEMM(batch_head, kHidden / 256, kQ6, kQ6, true, nt)

BATCH_GEMMS(1)
BATCH_GEMMS(2)
BATCH_GEMMS(4)
