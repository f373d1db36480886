// A warp multiplies one unit of weights (tiles.cuh) with the activations of one sequence.
//
// The trick that makes it cheap: a tensor-core product has eight columns and one sequence needs one. So for group j of a unit the activations
// go to column j and the other columns are zero: products into the same accumulators leave in column j the integer sum of group j alone.
// Then each thread holds the sums of two groups for two rows and scales just those, instead of every thread scaling every group.
#pragma once
#include "tiles.cuh"

/// 1 in the lanes of column j of a fragment, else 0. Multiplied with a word it blanks the other columns; the multiplier has nothing else to do here,
/// while the unit for logic, where a selection would run, is what a unit of weights waits for.
struct Columns {
  uint32_t is[8];
  uint32_t exponent = 0x4B000000;                                      // of 2^23, in a register: then one instruction masks bits and makes a float of them
  __device__ __forceinline__ explicit Columns(int lane) {
    asm volatile("" : "+r"(exponent));
#pragma unroll
    for (int j = 0; j < 8; j++) {
      is[j] = lane >> 2 == j;
      asm volatile("" : "+r"(is[j]));                                  // the compiler must not see that it is a comparison
    }
  }
};

/// One unit of Q4 for one sequence: adds rows g and g + 8, groups 2t and 2t + 1. A product takes the low nibbles of two groups, which belong to
/// different columns, another their high nibbles as they stand, 16 times as large.
__device__ __forceinline__ void unit_q4(const uint8_t* unit, const int8_t* xq, const float2* xs, const Columns& columns, int lane, float& row, float& row8) {
  const int g = lane >> 2, t = lane & 3;
  const uint2 x = *reinterpret_cast<const uint2*>(xq + g * 32 + t * 8);
  int low[4] = {kMagic, kMagic, kMagic, kMagic}, high[4] = {kMagic, kMagic, kMagic, kMagic};
#pragma unroll
  for (int p = 0; p < 4; p++) {
    const uint4 v = *reinterpret_cast<const uint4*>(unit + p * 512 + lane * 16);
    mma_u8(low, v.x & 0x0f0f0f0fu, v.y & 0x0f0f0f0fu, v.z & 0x0f0f0f0fu, v.w & 0x0f0f0f0fu, x.x * columns.is[2 * p], x.x * columns.is[2 * p + 1]);
    mma_u8(high, v.x & 0xf0f0f0f0u, v.y & 0xf0f0f0f0u, v.z & 0xf0f0f0f0u, v.w & 0xf0f0f0f0u, x.y * columns.is[2 * p], x.y * columns.is[2 * p + 1]);
  }
  const float4 s = *reinterpret_cast<const float4*>(xs + 2 * t);
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const uint8_t* header = unit + 2048 + (g + 8 * r) * 16;
    // This pair's 24 bits; a word behind the header may be read, and is shifted out.
    const uint32_t* words = reinterpret_cast<const uint32_t*>(header + ((4 + 3 * t) & ~3));
    const uint32_t both = *reinterpret_cast<const uint32_t*>(header), pair = __funnelshift_r(words[0], words[1], 8 * ((4 + 3 * t) & 3));
    const float d = low_half(both), dmin = high_half(both);
    const float first = fmaf(from_magic(high[2 * r]), 0.0625f, from_magic(low[2 * r])), second = fmaf(from_magic(high[2 * r + 1]), 0.0625f, from_magic(low[2 * r + 1]));
    float& sum = r ? row8 : row;
    // Bits are used where they stand: a power of two is a factor like any other, and exact.
    auto bits = [&](uint32_t word, uint32_t mask) { return __int_as_float((word & mask) | columns.exponent) - 8388608.0f; };
    sum = fmaf(first, bits(pair, 63) * d * s.x, sum);
    sum = fmaf(-(bits(pair, 63 << 12) * (dmin * 0x1p-12f)), s.y, sum);
    sum = fmaf(second, bits(pair, 63 << 6) * (d * 0x1p-6f) * s.z, sum);
    sum = fmaf(-(bits(pair >> 18, 63) * dmin), s.w, sum);
  }
}

/// One unit of Q6: its scales cover 16 inputs, so threads t = 0, 1 and t = 2, 3 feed different accumulators.
__device__ __forceinline__ void unit_q6(const uint8_t* unit, const int8_t* xq, const float2* xs, const Columns& columns, int lane, float& row, float& row8) {
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
      mma_s8(c0, a.a0, a.a1, a.a2, a.a3, x0.x * columns.is[2 * p], x0.y * columns.is[2 * p]);
      mma_s8(c1, a.a0, a.a1, a.a2, a.a3, x1.x * columns.is[2 * p], x1.y * columns.is[2 * p]);
      a = q6_fragment(v.z, v.w, q ? low4.w : low4.y);
      mma_s8(c0, a.a0, a.a1, a.a2, a.a3, x0.x * columns.is[2 * p + 1], x0.y * columns.is[2 * p + 1]);
      mma_s8(c1, a.a0, a.a1, a.a2, a.a3, x1.x * columns.is[2 * p + 1], x1.y * columns.is[2 * p + 1]);
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
