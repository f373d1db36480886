// The one weight format of the engine: GGUF's Q4_K and Q6_K bits, reordered so that a thread's 16 bytes are its tensor-core fragments.
// A *unit* is 16 output rows by 256 inputs; the units of a row tile follow one another along the inputs, then comes the next row tile.
// In a unit, thread (g, t) of a warp owns rows g and g + 8 and, of every 32 inputs (a *group*), inputs 8t .. 8t + 7.
//
//   Q4 unit, 2304 bytes (4.5 bits a weight):
//     [0, 2048)     pair p of groups, lane, {row g group 2p, row g+8 group 2p, row g group 2p+1, row g+8 group 2p+1}: one word each;
//                   byte i of a word: low nibble input 8t + i, high nibble input 8t + 4 + i
//     [2048, 2304)  row, {f16 d, f16 dmin, 12 bytes: per pair p three bytes = scale 2p | scale 2p+1 << 6 | min 2p << 12 | min 2p+1 << 18}
//     weight = d * scale * q - dmin * min
//   Q6 unit, 3360 bytes (6.5625 bits a weight): t = q - 32 in six bits of two's complement, so that (t >> 2) << 4 | (t & 3) << 2 is 4t as int8
//     [0, 2048)     as in Q4, with nibbles t >> 2
//     [2048, 3072)  half of the unit (4 groups), lane, group: a word whose byte i holds t & 3 of: row g input 8t+i (bits 0-1),
//                   row g+8 input 8t+i (2-3), row g input 8t+4+i (4-5), row g+8 input 8t+4+i (6-7)
//     [3072, 3328)  row, 16 int8 scales, one per 16 inputs
//     [3328, 3360)  row, f16 d
//     weight = d * scale * t
#pragma once
#include "common.cuh"

constexpr int kQ4 = 0, kQ6 = 1;
template <int TYPE> constexpr int kUnitBytes = TYPE == kQ4 ? 2304 : 3360;
/// Two units are a *segment*: what one warp sums before it hands its result on. All batch sizes add segments in the same order, so a
/// sequence's numbers do not depend on its company.
constexpr int kSegmentUnits = 2;
template <int TYPE> constexpr int kSegmentBytes = kSegmentUnits * kUnitBytes<TYPE>;

struct Fragment { uint32_t a0, a1, a2, a3; };

__device__ __forceinline__ Fragment q4_fragment(uint32_t row, uint32_t row8) {
  return {row & 0x0f0f0f0fu, row8 & 0x0f0f0f0fu, (row >> 4) & 0x0f0f0f0fu, (row8 >> 4) & 0x0f0f0f0fu};
}
__device__ __forceinline__ Fragment q6_fragment(uint32_t row, uint32_t row8, uint32_t low) {
  return {((row << 4) & 0xf0f0f0f0u) | ((low << 2) & 0x0c0c0c0cu), ((row8 << 4) & 0xf0f0f0f0u) | (low & 0x0c0c0c0cu),
          (row & 0xf0f0f0f0u) | ((low >> 2) & 0x0c0c0c0cu), (row8 & 0xf0f0f0f0u) | ((low >> 4) & 0x0c0c0c0cu)};
}
/// The 24 bits of pair p in a Q4 row header (d and dmin are header.x); above them anything.
__device__ __forceinline__ uint32_t q4_pair(const uint4& header, int p) {
  return __funnelshift_r(p < 2 ? header.y : p == 2 ? header.z : header.w, p < 2 ? header.z : header.w, 24 * p & 31);
}
__device__ __forceinline__ float low_half(uint32_t v) { return half_from_bits(v & 0xffff); }
__device__ __forceinline__ float high_half(uint32_t v) { return half_from_bits(v >> 16); }
__device__ __forceinline__ void eight_halves(const uint4& from, float (&v)[8]) {
  const uint32_t words[4] = {from.x, from.y, from.z, from.w};
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] = i & 1 ? high_half(words[i >> 1]) : low_half(words[i >> 1]);
}
/// Weight (row, input) of a Q6 matrix in tile order: of the embedding of one token, and for the tests.
__device__ __forceinline__ float q6_weight(const uint8_t* matrix, int units, int row, int input) {
  const uint8_t* unit = matrix + ((size_t)(row >> 4) * units + (input >> 8)) * kUnitBytes<kQ6>;
  const int r = row & 15, k = input & 255, group = k >> 5, t = (k & 31) >> 3, e = k & 7;      // e: 0..3 low nibble, 4..7 high nibble
  const int lane = (r & 7) * 4 + t, byte = e & 3;
  const int word = (group & 1) * 2 + (r >> 3);
  const uint32_t high = (unit[(group >> 1) * 512 + lane * 16 + word * 4 + byte] >> (e < 4 ? 0 : 4)) & 15;
  const uint32_t low = (unit[2048 + (group >> 2) * 512 + lane * 16 + (group & 3) * 4 + byte] >> ((e < 4 ? 0 : 4) + (r >> 3) * 2)) & 3;
  const int q = (int)(int8_t)(high << 4 | low << 2) >> 2;
  const float scale = (float)(int8_t)unit[3072 + r * 16 + group * 2 + (t >> 1)];
  return half_from_bits(*reinterpret_cast<const uint16_t*>(unit + 3328 + r * 2)) * scale * (float)q;
}
/// Byte `i` of a word of int8 that was xored with 0x80808080, as a float.
template <int I> __device__ __forceinline__ float biased_byte(uint32_t word) {
  return __int_as_float(__byte_perm(word, 0x4B000000u, 0x7440 + I)) - 8388736.0f;
}

// ---- int8 activations: groups of 32 with scale d = max / 127 and s = d * sum of the 32 integers ----
// Memory order for one sequence: [group][32] and [group]{d, s}. For a batch of `columns` (8, 16 or 32) two groups lie together, a *pair*, so that a
// thread of a product takes all it needs of both at once:
//   values [unit][column][4 pairs][t][2 groups][8]     inputs 8t .. 8t + 7, as thread t has of the weights
//   scales [unit][column][4 pairs]{d, d, s, s}
// Pairs are turned by the column, each in its own way, so that what threads load side by side lies in different banks.

/// A pair of a batch's values, counted in 64 bytes, and of its scales, in 16.
__device__ __forceinline__ int q8_values_at(int columns, int column, int unit, int pair) { return (unit * columns + column) * 4 + ((pair ^ column) & 3); }
__device__ __forceinline__ int q8_scales_at(int columns, int column, int unit, int pair) { return (unit * columns + column) * 4 + ((pair ^ column >> 1) & 3); }

/// Quantises four consecutive values a lane, eight lanes a group. Every lane gets the group's {d, s}.
__device__ __forceinline__ uint32_t quantise_group(float4 v, float2& scale) {
  float largest = fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
  for (int o = 4; o; o >>= 1) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, o));
  float inverse = largest > 0.0f ? __fdividef(127.0f, largest) : 0.0f;
  int a = __float2int_rn(v.x * inverse), b = __float2int_rn(v.y * inverse), c = __float2int_rn(v.z * inverse), d = __float2int_rn(v.w * inverse);
  int sum = a + b + c + d;
  for (int o = 4; o; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
  scale.x = largest * (1.0f / 127.0f);
  scale.y = scale.x * (float)sum;
  return (a & 255) | ((b & 255) << 8) | ((c & 255) << 16) | ((uint32_t)(d & 255) << 24);
}

/// The same for eight consecutive values a lane, four lanes a group: maxima and integer sums are exact, so the bits are the same. N groups side by
/// side, because each by itself is a chain of waits. The conversion is an addition: beyond 2^23 a float's lowest bits are its integer.
template <int N> __device__ __forceinline__ void quantise_groups8(const float (&v)[N][8], uint2 (&packed)[N], float2 (&scales)[N]) {
  float largest[N];
  uint32_t sums[N];
#pragma unroll
  for (int n = 0; n < N; n++) {
    largest[n] = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) largest[n] = fmaxf(largest[n], fabsf(v[n][i]));
  }
#pragma unroll
  for (int o = 2; o; o >>= 1)
#pragma unroll
    for (int n = 0; n < N; n++) largest[n] = fmaxf(largest[n], __shfl_xor_sync(~0u, largest[n], o));
#pragma unroll
  for (int n = 0; n < N; n++) {
    const float inverse = largest[n] > 0.0f ? __fdividef(127.0f, largest[n]) : 0.0f;
    uint32_t bits[8];
    sums[n] = -8u * kMagic;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      bits[i] = __float_as_uint(__fadd_rn(__fmul_rn(v[n][i], inverse), __int_as_float(kMagic)));
      sums[n] += bits[i];
    }
    auto four = [&](int i) { return __byte_perm(__byte_perm(bits[i], bits[i + 1], 0x0040), __byte_perm(bits[i + 2], bits[i + 3], 0x0040), 0x5410); };
    packed[n] = make_uint2(four(0), four(4));
  }
#pragma unroll
  for (int o = 2; o; o >>= 1)
#pragma unroll
    for (int n = 0; n < N; n++) sums[n] += __shfl_xor_sync(~0u, sums[n], o);
#pragma unroll
  for (int n = 0; n < N; n++) {
    scales[n].x = largest[n] * (1.0f / 127.0f);
    scales[n].y = scales[n].x * (float)(int)sums[n];
  }
}
