// The KV cache: pages of 64 tokens for one KV head, int8 with one f16 scale per token. A page block of 16,640 bytes is one contiguous copy:
//   [0, 8192)       keys [token][128], after norm and RoPE; the two 64-byte halves of an odd token's row are swapped (bank conflicts)
//   [8192, 16384)   values, transposed [128][token], because the second product of attention sums over tokens
//   [16384, 16512)  f16 key scale per token     [16512, 16640)  f16 value scale per token
// The pool is [layer][page][KV head].
#pragma once
#include "common.cuh"

constexpr int kPageTokens = 64, kPageBytes = 16640;

/// A warp's view of one head vector: lane l holds dimensions l, l + 32, l + 64, l + 96, so both halves of a RoPE pair are its own.
struct HeadVector { float v[4]; };

__device__ __forceinline__ HeadVector load_head_gain(const float* gain, int lane) {
  return {__ldg(gain + lane), __ldg(gain + lane + 32), __ldg(gain + lane + 64), __ldg(gain + lane + 96)};
}
__device__ __forceinline__ void head_norm(HeadVector& x, const HeadVector& gain, float epsilon) {
  const float r = rsqrtf(warp_sum(x.v[0] * x.v[0] + x.v[1] * x.v[1] + x.v[2] * x.v[2] + x.v[3] * x.v[3]) / kHeadDim + epsilon);
#pragma unroll
  for (int i = 0; i < 4; i++) x.v[i] *= r * gain.v[i];
}
/// Sine and cosine of a position for the two pairs of dimensions that a lane holds.
struct HeadTurn { float sine[2], cosine[2]; };

/// `turns`[i] = theta^(-i / 64) / 2 pi in double: at position 262,144 a float angle would be off by 0.01.
__device__ __forceinline__ HeadTurn head_turn(int position, const double* turns, int lane) {
  HeadTurn at;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const double turn = position * __ldg(turns + lane + 32 * i);
    sincospif(2.0f * (float)(turn - rint(turn)), &at.sine[i], &at.cosine[i]);
  }
  return at;
}
/// Rotates the pairs (i, i + 64).
__device__ __forceinline__ void head_rope(HeadVector& x, const HeadTurn& at) {
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const float a = x.v[i], b = x.v[i + 2];
    x.v[i] = a * at.cosine[i] - b * at.sine[i];
    x.v[i + 2] = b * at.cosine[i] + a * at.sine[i];
  }
}
/// int8 with an f16 scale; q[i] belongs to dimension lane + 32 i.
__device__ __forceinline__ uint16_t head_quantise(const HeadVector& x, int (&q)[4]) {
  const float largest = warp_largest(fmaxf(fmaxf(fabsf(x.v[0]), fabsf(x.v[1])), fmaxf(fabsf(x.v[2]), fabsf(x.v[3]))));
  const uint16_t scale = half_bits(largest * (1.0f / 127.0f));
  const float d = half_from_bits(scale), inverse = d > 0.0f ? __fdividef(1.0f, d) : 0.0f;
#pragma unroll
  for (int i = 0; i < 4; i++) q[i] = max(-127, min(127, __float2int_rn(x.v[i] * inverse)));
  return scale;
}
__device__ __forceinline__ void store_key(uint8_t* page, int token, const int (&q)[4], uint16_t scale, int lane) {
#pragma unroll
  for (int i = 0; i < 4; i++) page[token * 128 + ((lane + 32 * i) ^ ((token & 1) << 6))] = (uint8_t)q[i];
  if (lane == 0) reinterpret_cast<uint16_t*>(page + 16384)[token] = scale;
}
__device__ __forceinline__ void store_value(uint8_t* page, int token, const int (&q)[4], uint16_t scale, int lane) {
#pragma unroll
  for (int i = 0; i < 4; i++) page[8192 + (lane + 32 * i) * 64 + token] = (uint8_t)q[i];
  if (lane == 0) reinterpret_cast<uint16_t*>(page + 16512)[token] = scale;
}
