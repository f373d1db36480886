// gemv_w4a8: y = W x for one sequence, the kernel that decides the speed of decoding. Weights stream through each warp's own ring of
// segments; what comes before the product (norm, quantisation) is done by every block for itself while its first segments are on their way.
//
// How a unit is multiplied is units.cuh's.
//
// Work is dealt in segments, evenly, so a row tile may begin in one block and end in the next: its two sums go to plane 0 and plane 1, and the
// reader adds them (plane 1 stays zero for tiles that are whole). The same order of additions as in gemm_batch_w4a8.
#include "activations.cuh"
#include "units.cuh"

constexpr int kWarps = kBlock / 32;

enum Prologue { kFromResidual, kFromQ8, kFromHalf };
enum Epilogue { kToPlanes, kToSilu, kToLogits };

struct GemvArgs {
  const uint8_t* part_a;      // tiles of the first rows
  const uint8_t* part_b;      // tiles of the last rows, when they are of another type
  const int4* ranges;         // per block: segments [x, y) of part a, [z, w) of part b
  const float* x_in;          // [hidden], the residual stream
  const float* planes;        // [2][hidden], what the kernel before adds to it; null at the first layer
  float* x_out;               // [hidden], written by block 0
  const float* gain;          // [hidden]
  const int8_t* q8;           // [inputs]
  const float2* q8_scales;    // [inputs / 32]
  const __half* h;            // [inputs]
  void* out;
  int rows_a;
  float epsilon;
};

template <int TYPE>
__device__ __forceinline__ void unit(const uint8_t* data, const int8_t* xq, const float2* xs, const Columns& columns, int lane, float2 (&sums)[1]) {
  if (TYPE == kQ4) units_q4<1>({{data, xq, xs}}, columns, lane, sums);
  else units_q6<1>({{data, xq, xs}}, columns, lane, sums);
}

/// Units in flight per warp: enough that a block's ring covers memory's latency, small enough that the next kernel's block fits beside it.
template <int SLOT> constexpr int kGemvDepth = HOPPER ? 2 : (SLOT > 3000 ? 1 : 2);

template <int UNITS, int TYPE_A, int TYPE_B, Prologue PROLOGUE, Epilogue EPILOGUE>
__device__ __forceinline__ void gemv(const GemvArgs& args) {
  constexpr int kInputs = UNITS * 256, kSegments = UNITS / kSegmentUnits;
  constexpr int kSlot = kUnitBytes<(TYPE_A > TYPE_B ? TYPE_A : TYPE_B)>;
  constexpr int kDepth = kGemvDepth<kSlot>;
  extern __shared__ __align__(128) uint8_t shared[];
  uint8_t* slots = shared;
  int8_t* xq = reinterpret_cast<int8_t*>(slots + kWarps * kDepth * kSlot);
  float2* xs = reinterpret_cast<float2*>(xq + kInputs);
  uint64_t* bars = reinterpret_cast<uint64_t*>(xs + kInputs / 32);
  float* scratch = reinterpret_cast<float*>(bars + kWarps * kDepth);
  float* results = scratch + kWarps;                                                    // [segments of the block][16]

  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const int4 range = __ldg(args.ranges + blockIdx.x);
  const int count_a = range.y - range.x, count = count_a + range.w - range.z;
  WarpRing<kSlot, kDepth> ring(slots, bars, warp, lane);
  auto load = [&](int n) {                                     // the warp's n-th unit
    const int i = warp + n / kSegmentUnits * kWarps, u = n % kSegmentUnits;
    if (i < count_a) ring.load(n, args.part_a + ((size_t)(range.x + i) * kSegmentUnits + u) * kUnitBytes<TYPE_A>, kUnitBytes<TYPE_A>);
    else if (i < count) ring.load(n, args.part_b + ((size_t)(range.z + i - count_a) * kSegmentUnits + u) * kUnitBytes<TYPE_B>, kUnitBytes<TYPE_B>);
    else ring.load(n, nullptr, 0);
  };
#pragma unroll 1
  for (int n = 0; n < kDepth; n++) load(n);
  pdl_launch();

  pdl_wait();

  {
    if (PROLOGUE == kFromResidual) {
      auto planes = [&](int i, float4 (&sum)[2]) {
        PlaneSums<2> sums;
        if (args.planes) sums.add_planes<2>(args.planes + i, kHidden, 0, 2, 1);
#pragma unroll
        for (int k = 0; k < 2; k++) sum[k] = sums.sum(k);
      };
      static_assert(kHidden <= 8 * kBlock, "one step of eight values a thread");
      auto share = [&](float squares) { return share_in_block(scratch, squares); };
      norm_quantise(threadIdx.x * 8, args.x_in, planes, blockIdx.x == 0 ? args.x_out : nullptr, args.gain, args.epsilon, Q8Target{xq, xs, 1, 0}, share);
    } else if (PROLOGUE == kFromQ8) {
#pragma unroll 1
      for (int i = threadIdx.x * 16; i < kInputs; i += kBlock * 16)
        *reinterpret_cast<uint4*>(xq + i) = __ldcg(reinterpret_cast<const uint4*>(args.q8 + i));
#pragma unroll 1
      for (int i = threadIdx.x; i < kInputs / 32; i += kBlock) xs[i] = __ldcg(args.q8_scales + i);
    } else {
      constexpr int kSteps = (kInputs + 8 * kBlock - 1) / (8 * kBlock);
      uint4 raw[kSteps];
#pragma unroll
      for (int s = 0; s < kSteps; s++) {
        const int i = (s * kBlock + threadIdx.x) * 8;
        if (i < kInputs) raw[s] = __ldcg(reinterpret_cast<const uint4*>(args.h + i));
      }
#pragma unroll
      for (int s = 0; s < kSteps; s++) {
        const int i = (s * kBlock + threadIdx.x) * 8;
        if (i < kInputs) {
          float v[1][8];
          eight_halves(raw[s], v[0]);
          uint2 packed[1];
          float2 scale[1];
          quantise_groups8(v, packed, scale);
          Q8Target{xq, xs, 1, 0}.store(i, packed[0], scale[0]);
        }
      }
    }
    __syncthreads();

    const Columns columns(lane);
    // Loops stay loops throughout, to keep the code small.
#pragma unroll 1
    for (int n = 0, i = warp; i < count; i += kWarps) {
      const bool in_a = i < count_a;
      const int at = (in_a ? range.x + i : range.z + i - count_a) % kSegments * kSegmentUnits;   // first unit of this segment in its row
      float2 sums[1] = {};
#pragma unroll 1
      for (int u = 0; u < kSegmentUnits; u++, n++) {
        ring.wait(n);
        if (TYPE_A == TYPE_B || in_a) unit<TYPE_A>(ring.slot(n), xq + (at + u) * 256, xs + (at + u) * 8, columns, lane, sums);
        else unit<TYPE_B>(ring.slot(n), xq + (at + u) * 256, xs + (at + u) * 8, columns, lane, sums);
        __syncwarp();
        load(n + kDepth);
      }
      float row = sums[0].x, row8 = sums[0].y;
      row += __shfl_xor_sync(~0u, row, 1);
      row8 += __shfl_xor_sync(~0u, row8, 1);
      row += __shfl_xor_sync(~0u, row, 2);
      row8 += __shfl_xor_sync(~0u, row8, 2);
      if ((lane & 3) == 0) {
        results[i * 16 + (lane >> 2)] = row;
        results[i * 16 + (lane >> 2) + 8] = row8;
      }
    }
    __syncthreads();

    // Rows of this block: tiles of part a, then tiles of part b.
    const int tile_a = range.x / kSegments, tiles_a = count_a > 0 ? (range.y - 1) / kSegments - tile_a + 1 : 0;
    const int tile_b = range.z / kSegments, tiles_b = range.w > range.z ? (range.w - 1) / kSegments - tile_b + 1 : 0;
    auto sum_of = [&](int tile_index, int row, int& tile, int& plane) {
      const bool in_a = tile_index < tiles_a;
      tile = in_a ? tile_a + tile_index : tile_b + tile_index - tiles_a;
      const int low = max(in_a ? range.x : range.z, tile * kSegments), high = min(in_a ? range.y : range.w, (tile + 1) * kSegments);
      const float* from = results + (low - (in_a ? range.x : range.z - count_a)) * 16 + row;
      float sum = 0;
#pragma unroll 1
      for (int i = 0; i < high - low; i++) sum += from[i * 16];
      plane = low > tile * kSegments;
      if (!in_a) tile += args.rows_a / 16;
      return sum;
    };
    int tile, plane;
    if (EPILOGUE == kToSilu) {
      __half* h = static_cast<__half*>(args.out);
#pragma unroll 1
      for (int i = threadIdx.x; i < tiles_a * 8; i += kBlock) {
        const float gate = sum_of(i >> 3, i & 7, tile, plane), up = sum_of(i >> 3, (i & 7) + 8, tile, plane);
        const __half value = __float2half_rn(fminf(fmaxf(silu(gate) * up, -65504.0f), 65504.0f));
        h[tile * 8 + (i & 7)] = value;
      }
    } else {
      float* out = static_cast<float*>(args.out);
      const size_t rows = EPILOGUE == kToLogits ? kVocabulary : PROLOGUE == kFromResidual ? kQkvRows : kHidden;
#pragma unroll 1
      for (int i = threadIdx.x; i < (tiles_a + tiles_b) * 16; i += kBlock) {
        const float sum = sum_of(i >> 4, i & 15, tile, plane);
        out[plane * rows + tile * 16 + (i & 15)] = sum;
      }
    }
  }
}

#define GEMV(name, units, type_a, type_b, prologue, epilogue)                                                        \
  extern "C" __global__ void __launch_bounds__(kBlock, 2) name(const GemvArgs args) { gemv<units, type_a, type_b, prologue, epilogue>(args); }

GEMV(gemv_qkv_v4, kHidden / 256, kQ4, kQ4, kFromResidual, kToPlanes)
GEMV(gemv_qkv_v6, kHidden / 256, kQ4, kQ6, kFromResidual, kToPlanes)
GEMV(gemv_o, kQueryRows / 256, kQ4, kQ4, kFromQ8, kToPlanes)
GEMV(gemv_gate_up, kHidden / 256, kQ4, kQ4, kFromResidual, kToSilu)
GEMV(gemv_down_q4, kFeedForward / 256, kQ4, kQ4, kFromHalf, kToPlanes)
GEMV(gemv_down_q6, kFeedForward / 256, kQ6, kQ6, kFromHalf, kToPlanes)
GEMV(gemv_head, kHidden / 256, kQ6, kQ6, kFromResidual, kToLogits)
