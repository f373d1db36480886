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
    int at = q8_group_at(columns, column, index >> 5);
    *reinterpret_cast<uint32_t*>(values + at * 32 + (index & 31)) = packed;
    if ((index & 31) == 0) scales[at] = scale;
  }
  __device__ __forceinline__ void store(int index, uint2 packed, float2 scale) const {
    int at = q8_group_at(columns, column, index >> 5);
    *reinterpret_cast<uint2*>(values + at * 32 + (index & 31)) = packed;
    if ((index & 31) == 0) scales[at] = scale;
  }
};

/// Adds the planes [0, split) and [split, count) of a split matrix product, in this order for every batch size.
__device__ __forceinline__ float4 sum_planes4(const float* planes, size_t stride, int count, int split, size_t index) {
  float4 low = make_float4(0, 0, 0, 0), high = low;
#pragma unroll 4
  for (int p = 0; p < count; p++) {
    float4 v = __ldcg(reinterpret_cast<const float4*>(planes + p * stride + index));
    if (p < split) { low.x += v.x; low.y += v.y; low.z += v.z; low.w += v.w; }
    else { high.x += v.x; high.y += v.y; high.z += v.z; high.w += v.w; }
  }
  return make_float4(low.x + high.x, low.y + high.y, low.z + high.z, low.w + high.w);
}

/// x = x_in + plane_sum(index); x_out = x where wanted; q8(x * rsqrt(mean(x^2) + epsilon) * gain).
template <typename PlaneSum>
__device__ __forceinline__ void norm_quantise(const float* x_in, PlaneSum plane_sum, float* x_out, const float* gain, float epsilon, Q8Target target,
                                              float* scratch) {
  static_assert(kHidden <= 8 * kBlock, "one step of eight values a thread");
  const int i = threadIdx.x * 8;
  const bool mine = i < kHidden;                       // whole warps
  float v[8], squares = 0;
  float4 gain_low = make_float4(0, 0, 0, 0), gain_high = gain_low;
  if (mine) {
    const float4 low = __ldcg(reinterpret_cast<const float4*>(x_in + i)), high = __ldcg(reinterpret_cast<const float4*>(x_in + i + 4));
    gain_low = __ldg(reinterpret_cast<const float4*>(gain + i));
    gain_high = __ldg(reinterpret_cast<const float4*>(gain + i + 4));
    const float4 p = plane_sum(i), q = plane_sum(i + 4);
    v[0] = low.x + p.x; v[1] = low.y + p.y; v[2] = low.z + p.z; v[3] = low.w + p.w;
    v[4] = high.x + q.x; v[5] = high.y + q.y; v[6] = high.z + q.z; v[7] = high.w + q.w;
    if (x_out) {
      *reinterpret_cast<float4*>(x_out + i) = make_float4(v[0], v[1], v[2], v[3]);
      *reinterpret_cast<float4*>(x_out + i + 4) = make_float4(v[4], v[5], v[6], v[7]);
    }
    // Spelt out, so that the compiler cannot round differently in the two places this is used.
#pragma unroll
    for (int k = 0; k < 8; k++) squares = fmaf(v[k], v[k], squares);
  }
  squares = warp_sum(squares);
  if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = squares;
  __syncthreads();
  float total = (threadIdx.x & 31) < kBlock / 32 ? scratch[threadIdx.x & 31] : 0.0f;
  total = warp_sum(total);
  const float r = rsqrtf(__fadd_rn(__fmul_rn(total, 1.0f / kHidden), epsilon));
  if (mine) {
    const float w[8] = {gain_low.x, gain_low.y, gain_low.z, gain_low.w, gain_high.x, gain_high.y, gain_high.z, gain_high.w};
#pragma unroll
    for (int k = 0; k < 8; k++) v[k] = v[k] * r * w[k];
    float2 scale;
    const uint2 packed = quantise_group8(v, scale);
    target.store(i, packed, scale);
  }
}
