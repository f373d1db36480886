// The beginnings of the matrix kernels: residual sum, RMSNorm and int8 quantisation of one token by one block of kBlock threads. The same
// code runs as a kernel's prologue (one sequence, every block for itself) and as a kernel of its own (a block a sequence), so both give the
// same bits.
#pragma once
#include "tiles.cuh"

constexpr int kBlock = 512;

/// Where quantised activations go: a block's shared memory (columns = 1) or the batch layout of tiles.cuh.
struct Q8Target {
  int8_t* values;
  float2* scales;
  int columns, column;
  __device__ __forceinline__ void store(int index, uint32_t packed, float2 scale) const {
    *reinterpret_cast<uint32_t*>(values + value_at(index)) = packed;
    store_scale(index, scale);
  }
  __device__ __forceinline__ void store(int index, uint2 packed, float2 scale) const {
    *reinterpret_cast<uint2*>(values + value_at(index)) = packed;
    store_scale(index, scale);
  }

private:
  __device__ __forceinline__ int value_at(int index) const {
    if (columns == 1) return index;
    return q8_values_at(columns, column, index >> 8, index >> 6) * 64 + (index >> 3 & 3) * 16 + (index >> 5 & 1) * 8 + (index & 7);
  }
  __device__ __forceinline__ void store_scale(int index, float2 scale) const {
    if (index & 31) return;
    if (columns == 1) {
      scales[index >> 5] = scale;
      return;
    }
    float* pair = reinterpret_cast<float*>(scales) + q8_scales_at(columns, column, index >> 8, index >> 6) * 4;
    pair[index >> 5 & 1] = scale.x;
    pair[2 + (index >> 5 & 1)] = scale.y;
  }
};

/// The planes [0, split) and [split, count) of a split matrix product, added up in this order for every batch size: `WIDTH` float4 of a thread.
template <int WIDTH> struct PlaneSums {
  float4 low[WIDTH] = {}, high[WIDTH] = {};
  __device__ __forceinline__ void add(int k, float4 v, bool is_low, bool is_high) {
    low[k].x += is_low ? v.x : 0.0f; low[k].y += is_low ? v.y : 0.0f; low[k].z += is_low ? v.z : 0.0f; low[k].w += is_low ? v.w : 0.0f;
    high[k].x += is_high ? v.x : 0.0f; high[k].y += is_high ? v.y : 0.0f; high[k].z += is_high ? v.z : 0.0f; high[k].w += is_high ? v.w : 0.0f;
  }
  /// N planes of `count`, from `first` on, whose values lie at `from`, `stride` floats from plane to plane. They are asked for together, the last one again
  /// for those that do not exist: what this costs is trips to level 2.
  template <int N> __device__ __forceinline__ void add_planes(const float* from, size_t stride, int first, int count, int split) {
    float4 v[N][WIDTH];
#pragma unroll
    for (int p = 0; p < N; p++)
#pragma unroll
      for (int k = 0; k < WIDTH; k++) v[p][k] = __ldcg(reinterpret_cast<const float4*>(from + min(first + p, count - 1) * stride) + k);
#pragma unroll
    for (int p = 0; p < N; p++)
#pragma unroll
      for (int k = 0; k < WIDTH; k++) add(k, v[p][k], first + p < split, first + p >= split && first + p < count);
  }
  __device__ __forceinline__ float4 sum(int k) const {
    return make_float4(low[k].x + high[k].x, low[k].y + high[k].y, low[k].z + high[k].z, low[k].w + high[k].w);
  }
};

// RMSNorm of a row, eight values a thread, in pieces. Roundings are spelt out, so that every kernel that uses them gets the same bits.

__device__ __forceinline__ float sum_of_squares(const float (&v)[8]) {
  float squares = 0;
#pragma unroll
  for (int k = 0; k < 8; k++) squares = fmaf(v[k], v[k], squares);
  return squares;
}
/// `sums`: the squares of each 256 values of the row. Each thread adds them up for itself, as pairs of pairs: half the time of passing them around.
__device__ __forceinline__ float norm_factor(const float* sums, float epsilon) {
  static_assert(kHidden <= 8 * kBlock, "a sum of squares a warp");
  float v[kBlock / 32];
#pragma unroll
  for (int i = 0; i < kBlock / 32; i++) v[i] = i < kHidden / 256 ? sums[i] : 0.0f;
#pragma unroll
  for (int o = kBlock / 64; o; o >>= 1)
#pragma unroll
    for (int i = 0; i < kBlock / 64; i++)
      if (i < o) v[i] += v[i + o];
  return rsqrtf(__fadd_rn(__fmul_rn(v[0], 1.0f / kHidden), epsilon));
}
/// N times eight values a thread.
template <int N>
__device__ __forceinline__ void normalise_quantise(float (&v)[N][8], const float (&gain)[N][8], float factor, uint2 (&packed)[N], float2 (&scales)[N]) {
#pragma unroll
  for (int n = 0; n < N; n++)
#pragma unroll
    for (int k = 0; k < 8; k++) v[n][k] = __fmul_rn(__fmul_rn(v[n][k], factor), gain[n][k]);
  quantise_groups8(v, packed, scales);
}
__device__ __forceinline__ void load_gain(float (&gain)[8], const float* from) {
  const float4 low = __ldg(reinterpret_cast<const float4*>(from)), high = __ldg(reinterpret_cast<const float4*>(from + 4));
  gain[0] = low.x; gain[1] = low.y; gain[2] = low.z; gain[3] = low.w;
  gain[4] = high.x; gain[5] = high.y; gain[6] = high.z; gain[7] = high.w;
}

/// For norm_quantise where a block has the whole row.
__device__ __forceinline__ const float* share_in_block(float* scratch, float squares) {
  if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = squares;
  __syncthreads();
  return scratch;
}
/// x = x_in + plane_sum(index, two float4); x_out = x where wanted; q8(norm(x) * gain): the calling thread's eight values, from index `i` on.
/// `share(squares)` hands a warp's sum of squares on and returns those of the whole row, as norm_factor takes them.
template <typename PlaneSum, typename Share>
__device__ __forceinline__ void norm_quantise(int i, const float* x_in, PlaneSum plane_sum, float* x_out, const float* gain, float epsilon, Q8Target target,
                                              Share share) {
  const bool mine = i < kHidden;                       // whole warps
  float row[1][8] = {}, w[1][8] = {};
  float (&v)[8] = row[0];
  if (mine) {
    const float4 low = __ldcg(reinterpret_cast<const float4*>(x_in + i)), high = __ldcg(reinterpret_cast<const float4*>(x_in + i + 4));
    load_gain(w[0], gain + i);
    float4 sum[2];
    plane_sum(i, sum);
    v[0] = low.x + sum[0].x; v[1] = low.y + sum[0].y; v[2] = low.z + sum[0].z; v[3] = low.w + sum[0].w;
    v[4] = high.x + sum[1].x; v[5] = high.y + sum[1].y; v[6] = high.z + sum[1].z; v[7] = high.w + sum[1].w;
  }
  const float* squares = share(warp_sum(sum_of_squares(v)));
  const float factor = norm_factor(squares, epsilon);
  if (!mine) return;
  if (x_out) {                                         // only now: where blocks share, what was written before would have to arrive first
    *reinterpret_cast<float4*>(x_out + i) = make_float4(v[0], v[1], v[2], v[3]);
    *reinterpret_cast<float4*>(x_out + i + 4) = make_float4(v[4], v[5], v[6], v[7]);
  }
  uint2 packed[1];
  float2 scales[1];
  normalise_quantise(row, w, factor, packed, scales);
  target.store(i, packed[0], scales[0]);
}
