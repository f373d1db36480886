// A warp multiplies one unit of weights (tiles.cuh) with the activations of one sequence.
//
// The trick that makes it cheap: a tensor-core product has eight columns and one sequence needs one. So for group j of a unit the activations
// go to column j and the other columns are zero: eight products into the same accumulators leave in column j the integer sum of group j alone.
// Then each thread holds the sums of two groups for two rows and scales just those, instead of every thread scaling every group.
#pragma once
#include "tiles.cuh"

/// One unit of Q4 for one sequence: adds rows g and g + 8, groups 2t and 2t + 1.
__device__ __forceinline__ void unit_q4(const uint8_t* unit, const int8_t* xq, const float2* xs, int lane, float& row, float& row8) {
  const int g = lane >> 2, t = lane & 3;
  const uint2 x = *reinterpret_cast<const uint2*>(xq + g * 32 + t * 8);
  int c[4] = {kMagic, kMagic, kMagic, kMagic}, odd[4] = {0, 0, 0, 0};      // two chains: a product's latency is what a unit costs
#pragma unroll
  for (int p = 0; p < 4; p++) {
    const uint4 v = *reinterpret_cast<const uint4*>(unit + p * 512 + lane * 16);
    Fragment a = q4_fragment(v.x, v.y);
    mma_s8(c, a.a0, a.a1, a.a2, a.a3, g == 2 * p ? x.x : 0, g == 2 * p ? x.y : 0);
    a = q4_fragment(v.z, v.w);
    mma_s8(odd, a.a0, a.a1, a.a2, a.a3, g == 2 * p + 1 ? x.x : 0, g == 2 * p + 1 ? x.y : 0);
  }
#pragma unroll
  for (int i = 0; i < 4; i++) c[i] += odd[i];
  const float4 s = *reinterpret_cast<const float4*>(xs + 2 * t);
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const uint4 header = *reinterpret_cast<const uint4*>(unit + 2048 + (g + 8 * r) * 16);
    const uint32_t first = t < 2 ? header.y : header.z, second = t < 2 ? header.z : header.w;
    const uint32_t pick = t == 0 ? 0x3210 : t == 1 ? 0x6543 : t == 2 ? 0x5432 : 0x7765;
    const uint32_t pair = __byte_perm(first, second, pick);
    const float d = low_half(header.x), dmin = high_half(header.x);
    float& sum = r ? row8 : row;
    sum = fmaf(from_magic(c[2 * r]), small_to_float(pair & 63) * d * s.x, sum);
    sum = fmaf(-(small_to_float((pair >> 12) & 63) * dmin), s.y, sum);
    sum = fmaf(from_magic(c[2 * r + 1]), small_to_float((pair >> 6) & 63) * d * s.z, sum);
    sum = fmaf(-(small_to_float((pair >> 18) & 63) * dmin), s.w, sum);
  }
}

/// One unit of Q6: its scales cover 16 inputs, so threads t = 0, 1 and t = 2, 3 feed different accumulators.
__device__ __forceinline__ void unit_q6(const uint8_t* unit, const int8_t* xq, const float2* xs, int lane, float& row, float& row8) {
  const int g = lane >> 2, t = lane & 3;
  const uint2 x = *reinterpret_cast<const uint2*>(xq + g * 32 + t * 8);
  const uint2 x0 = t < 2 ? x : make_uint2(0, 0), x1 = t < 2 ? make_uint2(0, 0) : x;
  int c0[4] = {kMagic, kMagic, kMagic, kMagic}, c1[4] = {kMagic, kMagic, kMagic, kMagic};
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint4 low4 = *reinterpret_cast<const uint4*>(unit + 2048 + half * 512 + lane * 16);
#pragma unroll
    for (int q = 0; q < 2; q++) {
      const int p = 2 * half + q;
      const uint4 v = *reinterpret_cast<const uint4*>(unit + p * 512 + lane * 16);
      Fragment a = q6_fragment(v.x, v.y, q ? low4.z : low4.x);
      mma_s8(c0, a.a0, a.a1, a.a2, a.a3, g == 2 * p ? x0.x : 0, g == 2 * p ? x0.y : 0);
      mma_s8(c1, a.a0, a.a1, a.a2, a.a3, g == 2 * p ? x1.x : 0, g == 2 * p ? x1.y : 0);
      a = q6_fragment(v.z, v.w, q ? low4.w : low4.y);
      mma_s8(c0, a.a0, a.a1, a.a2, a.a3, g == 2 * p + 1 ? x0.x : 0, g == 2 * p + 1 ? x0.y : 0);
      mma_s8(c1, a.a0, a.a1, a.a2, a.a3, g == 2 * p + 1 ? x1.x : 0, g == 2 * p + 1 ? x1.y : 0);
    }
  }
  const float4 s = *reinterpret_cast<const float4*>(xs + 2 * t);
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const uint32_t scales = *reinterpret_cast<const uint32_t*>(unit + 3072 + (g + 8 * r) * 16 + t * 4) ^ 0x80808080u;
    const float d = 0.25f * half_from_bits(*reinterpret_cast<const uint16_t*>(unit + 3328 + (g + 8 * r) * 2));
    float& sum = r ? row8 : row;
    sum = fmaf(from_magic(c0[2 * r]), biased_byte<0>(scales) * d * s.x, sum);
    sum = fmaf(from_magic(c1[2 * r]), biased_byte<1>(scales) * d * s.x, sum);
    sum = fmaf(from_magic(c0[2 * r + 1]), biased_byte<2>(scales) * d * s.z, sum);
    sum = fmaf(from_magic(c1[2 * r + 1]), biased_byte<3>(scales) * d * s.z, sum);
  }
}
