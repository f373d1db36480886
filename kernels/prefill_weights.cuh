// Weights as f16 fragments of tensor-core products, for both kernels that multiply prompts.
#pragma once
#include "prompt.cuh"

enum PrefillEpilogue { kStore, kAddResidual, kSiluHalf };

__device__ __forceinline__ uint32_t half2_bytes(uint32_t word, int selector) { return __byte_perm(word, 0x64646464u, selector); }
__device__ __forceinline__ uint32_t half2_sub(uint32_t a, uint32_t b) {
  uint32_t r;
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
__device__ __forceinline__ uint32_t half2_mul(uint32_t a, uint32_t b) {
  uint32_t r;
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
__device__ __forceinline__ uint32_t half2_fma(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t r;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
__device__ __forceinline__ uint32_t twice(uint32_t half_low) { return __byte_perm(half_low, 0, 0x1010); }
__device__ __forceinline__ uint32_t twice_high(uint32_t half_high) { return __byte_perm(half_high, 0, 0x3232); }

/// Hands out a row's scales of groups 2p and 2p + 1 as pairs of f16: Q4 {scale, -min} of the group, Q6 the scales of its two halves.
template <int TYPE, class Put> __device__ __forceinline__ void decode_pair_scales(const uint8_t* unit, int row, int p, Put put) {
  if (TYPE == kQ4) {
    const uint4 header = *reinterpret_cast<const uint4*>(unit + 2048 + row * 16);
    const float d = low_half(header.x), dmin = high_half(header.x);
    const uint32_t pair = q4_pair(header, p);
    put(row, 2 * p, half2_bits(d * small_to_float(pair & 63), -dmin * small_to_float((pair >> 12) & 63)));
    put(row, 2 * p + 1, half2_bits(d * small_to_float((pair >> 6) & 63), -dmin * small_to_float((pair >> 18) & 63)));
  } else {
    const uint32_t word = *reinterpret_cast<const uint32_t*>(unit + 3072 + row * 16 + p * 4) ^ 0x80808080u;
    const float d = 0.25f * half_from_bits(*reinterpret_cast<const uint16_t*>(unit + 3328 + row * 2));
    put(row, 2 * p, half2_bits(d * biased_byte<0>(word), d * biased_byte<1>(word)));
    put(row, 2 * p + 1, half2_bits(d * biased_byte<2>(word), d * biased_byte<3>(word)));
  }
}
/// A warp decodes all scales of a unit.
template <int TYPE, class Put> __device__ __forceinline__ void decode_unit_scales(const uint8_t* unit, int lane, Put put) {
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (lane & 1) decode_pair_scales<TYPE>(unit, lane >> 1, 2 + i, put);
    else decode_pair_scales<TYPE>(unit, lane >> 1, i, put);
  }
}

/// Left sides of the two products of a group: row g pair 0, row g + 8 pair 0, row g pair 1, row g + 8 pair 1. s0 and s1 are the rows' scales.
template <int TYPE>
__device__ __forceinline__ void weight_fragments(const uint8_t* unit, int group, int lane, uint32_t s0, uint32_t s1, uint32_t (&low)[4], uint32_t (&high)[4]) {
  const uint2 v = *reinterpret_cast<const uint2*>(unit + (group >> 1) * 512 + lane * 16 + (group & 1) * 8);
  if (TYPE == kQ4) {
    const Fragment f = q4_fragment(v.x, v.y);
    const uint32_t scale0 = twice(s0), scale1 = twice(s1), min0 = twice_high(s0), min1 = twice_high(s1), k1024 = 0x64006400u;
    low[0] = half2_fma(half2_sub(half2_bytes(f.a0, 0x5140), k1024), scale0, min0);
    low[2] = half2_fma(half2_sub(half2_bytes(f.a0, 0x5342), k1024), scale0, min0);
    high[0] = half2_fma(half2_sub(half2_bytes(f.a2, 0x5140), k1024), scale0, min0);
    high[2] = half2_fma(half2_sub(half2_bytes(f.a2, 0x5342), k1024), scale0, min0);
    low[1] = half2_fma(half2_sub(half2_bytes(f.a1, 0x5140), k1024), scale1, min1);
    low[3] = half2_fma(half2_sub(half2_bytes(f.a1, 0x5342), k1024), scale1, min1);
    high[1] = half2_fma(half2_sub(half2_bytes(f.a3, 0x5140), k1024), scale1, min1);
    high[3] = half2_fma(half2_sub(half2_bytes(f.a3, 0x5342), k1024), scale1, min1);
  } else {
    const uint32_t bits = *reinterpret_cast<const uint32_t*>(unit + 2048 + (group >> 2) * 512 + lane * 16 + (group & 3) * 4);
    Fragment f = q6_fragment(v.x, v.y, bits);
    f.a0 ^= 0x80808080u; f.a1 ^= 0x80808080u; f.a2 ^= 0x80808080u; f.a3 ^= 0x80808080u;
    const bool is_first_half = (lane & 3) < 2;
    const uint32_t scale0 = is_first_half ? twice(s0) : twice_high(s0), scale1 = is_first_half ? twice(s1) : twice_high(s1), k1152 = 0x64806480u;
    low[0] = half2_mul(half2_sub(half2_bytes(f.a0, 0x5140), k1152), scale0);
    low[2] = half2_mul(half2_sub(half2_bytes(f.a0, 0x5342), k1152), scale0);
    high[0] = half2_mul(half2_sub(half2_bytes(f.a2, 0x5140), k1152), scale0);
    high[2] = half2_mul(half2_sub(half2_bytes(f.a2, 0x5342), k1152), scale0);
    low[1] = half2_mul(half2_sub(half2_bytes(f.a1, 0x5140), k1152), scale1);
    low[3] = half2_mul(half2_sub(half2_bytes(f.a1, 0x5342), k1152), scale1);
    high[1] = half2_mul(half2_sub(half2_bytes(f.a3, 0x5140), k1152), scale1);
    high[3] = half2_mul(half2_sub(half2_bytes(f.a3, 0x5342), k1152), scale1);
  }
}
