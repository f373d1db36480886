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
};

/// Adds the planes [0, split) and [split, count) of a split matrix product, in this order for every batch size.
__device__ __forceinline__ float4 sum_planes4(const float* planes, size_t stride, int count, int split, size_t index) {
  float4 low = make_float4(0, 0, 0, 0), high = low;
  for (int p = 0; p < count; p++) {
    float4 v = __ldcg(reinterpret_cast<const float4*>(planes + p * stride + index));
    float4& sum = p < split ? low : high;
    sum.x += v.x; sum.y += v.y; sum.z += v.z; sum.w += v.w;
  }
  return make_float4(low.x + high.x, low.y + high.y, low.z + high.z, low.w + high.w);
}

/// x = x_in + plane_sum(index); x_out = x where wanted; q8(x * rsqrt(mean(x^2) + epsilon) * gain).
template <typename PlaneSum>
__device__ __forceinline__ void norm_quantise(const float* x_in, PlaneSum plane_sum, float* x_out, const float* gain, float epsilon, Q8Target target,
                                              float* scratch) {
  constexpr int kSteps = (kHidden + 4 * kBlock - 1) / (4 * kBlock);
  float4 v[kSteps], w[kSteps];
  float squares = 0;
#pragma unroll
  for (int s = 0; s < kSteps; s++) {
    int i = (s * kBlock + threadIdx.x) * 4;
    if (i < kHidden) {
      v[s] = __ldcg(reinterpret_cast<const float4*>(x_in + i));
      w[s] = __ldg(reinterpret_cast<const float4*>(gain + i));
      float4 p = plane_sum(i);
      v[s].x += p.x; v[s].y += p.y; v[s].z += p.z; v[s].w += p.w;
      if (x_out) *reinterpret_cast<float4*>(x_out + i) = v[s];
      // Spelt out, so that the compiler cannot round differently in the two places this is used.
      squares = fmaf(v[s].x, v[s].x, squares);
      squares = fmaf(v[s].y, v[s].y, squares);
      squares = fmaf(v[s].z, v[s].z, squares);
      squares = fmaf(v[s].w, v[s].w, squares);
    }
  }
  squares = warp_sum(squares);
  if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = squares;
  __syncthreads();
  float total = (threadIdx.x & 31) < kBlock / 32 ? scratch[threadIdx.x & 31] : 0.0f;
  total = warp_sum(total);
  float r = rsqrtf(__fadd_rn(__fmul_rn(total, 1.0f / kHidden), epsilon));
#pragma unroll
  for (int s = 0; s < kSteps; s++) {
    int i = (s * kBlock + threadIdx.x) * 4;
    if (i < kHidden) {
      float2 scale;
      uint32_t packed = quantise_group(make_float4(v[s].x * r * w[s].x, v[s].y * r * w[s].y, v[s].z * r * w[s].z, v[s].w * r * w[s].w), scale);
      target.store(i, packed, scale);
    }
  }
}
