// A warp multiplies units of weights (tiles.cuh) with the activations of one sequence.
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
  uint32_t is_pair[4];                                                 // of columns 2k and 2k + 1
  uint32_t exponent = 0x4B000000;                                      // of 2^23, in a register: then one instruction masks bits and makes a float of them
  __device__ __forceinline__ explicit Columns(int lane) {
    asm volatile("" : "+r"(exponent));
#pragma unroll
    for (int j = 0; j < 8; j++) {
      is[j] = lane >> 2 == j;
      asm volatile("" : "+r"(is[j]));                                  // the compiler must not see that it is a comparison
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
      is_pair[k] = lane >> 3 == k;
      asm volatile("" : "+r"(is_pair[k]));
    }
  }
};

/// What a warp multiplies together: a unit of weights with its 256 inputs and their scales.
struct UnitInputs {
  const uint8_t* unit;
  const int8_t* q;
  const float2* scales;
};

/// Adds groups 2t and 2t + 1 of a row of Q4 to its sum: `header` is the row's, `first` and `second` are integers, `s` is {d, s} of both groups' inputs.
__device__ __forceinline__ float add_groups_q4(const uint8_t* header, int t, float first, float second, const float4& s, uint32_t exponent, float sum) {
  // This pair's 24 bits: from the words of its first and its last byte, which are the same word for t = 0 and 3. Above them anything.
  const uint32_t first_word = *reinterpret_cast<const uint32_t*>(header + ((4 + 3 * t) & ~3));
  const uint32_t last_word = *reinterpret_cast<const uint32_t*>(header + ((6 + 3 * t) & ~3));
  const uint32_t both = *reinterpret_cast<const uint32_t*>(header), pair = __funnelshift_r(first_word, last_word, 8 * ((4 + 3 * t) & 3));
  const float d = low_half(both), dmin = high_half(both);
  // Bits are used where they stand: a power of two is a factor like any other, and exact.
  auto bits = [&](uint32_t word, uint32_t mask) { return __int_as_float((word & mask) | exponent) - 8388608.0f; };
  sum = fmaf(first, bits(pair, 63) * d * s.x, sum);
  sum = fmaf(-(bits(pair, 63 << 12) * (dmin * 0x1p-12f)), s.y, sum);
  sum = fmaf(second, bits(pair, 63 << 6) * (d * 0x1p-6f) * s.z, sum);
  return fmaf(-(bits(pair >> 18, 63) * dmin), s.w, sum);
}

/// N units of Q4 side by side, so that the products of one fill the latency of the other's. Adds rows g and g + 8, groups 2t and 2t + 1, of units 2i and
/// 2i + 1 to sums[i]. A product takes the low nibbles of two groups, which belong to different columns, another their high nibbles as they stand, 16
/// times as large.
template <int N> __device__ __forceinline__ void units_q4(const UnitInputs (&of)[N], const Columns& columns, int lane, float2 (&sums)[(N + 1) / 2]) {
  const int g = lane >> 2, t = lane & 3;
  uint2 x[N];
  int low[N][4], high[N][4];
#pragma unroll
  for (int n = 0; n < N; n++) {
    x[n] = *reinterpret_cast<const uint2*>(of[n].q + g * 32 + t * 8);
#pragma unroll
    for (int i = 0; i < 4; i++) low[n][i] = high[n][i] = kMagic;
  }
#pragma unroll
  for (int p = 0; p < 4; p++) {
    uint4 v[N];
#pragma unroll
    for (int n = 0; n < N; n++) v[n] = *reinterpret_cast<const uint4*>(of[n].unit + p * 512 + lane * 16);
#pragma unroll
    for (int n = 0; n < N; n++) {
      mma_u8(low[n], v[n].x & 0x0f0f0f0fu, v[n].y & 0x0f0f0f0fu, v[n].z & 0x0f0f0f0fu, v[n].w & 0x0f0f0f0fu, x[n].x * columns.is[2 * p],
             x[n].x * columns.is[2 * p + 1]);
      mma_u8(high[n], v[n].x & 0xf0f0f0f0u, v[n].y & 0xf0f0f0f0u, v[n].z & 0xf0f0f0f0u, v[n].w & 0xf0f0f0f0u, x[n].y * columns.is[2 * p],
             x[n].y * columns.is[2 * p + 1]);
    }
  }
#pragma unroll
  for (int n = 0; n < N; n++) {
    const float4 s = *reinterpret_cast<const float4*>(of[n].scales + 2 * t);
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const float first = fmaf(from_magic(high[n][2 * r]), 0.0625f, from_magic(low[n][2 * r]));
      const float second = fmaf(from_magic(high[n][2 * r + 1]), 0.0625f, from_magic(low[n][2 * r + 1]));
      float& sum = r ? sums[n / 2].y : sums[n / 2].x;
      sum = add_groups_q4(of[n].unit + 2048 + (g + 8 * r) * 16, t, first, second, s, columns.exponent, sum);
    }
  }
}

/// Two rows of a row tile of gate and up with their partners, g, g + 1, g + 8 and g + 9, are what gives one word of h. Of a unit that is kLooseUnitBytes:
/// per pair of groups the rows' words as they lie in the unit, then the headers of g, g + 1, g + 8, g + 9.
constexpr int kLooseUnitBytes = 4 * 128 + 4 * 16;
/// Where chunk `k` of 16 bytes comes from.
__device__ __forceinline__ int loose_chunk(int k, int g) {
  return k < 32 ? (k >> 3) * 512 + g * 64 + (k & 7) * 16 : 2048 + (g + (k & 1) + (k & 2) * 4) * 16;
}
/// One segment of row g + `which` and its partner, by four lanes t with a pair of groups each. Their parts, which the four add up, are those of units_q4, bit
/// for bit; without tensor cores, since eight columns and fourteen rows would be empty.
__device__ __forceinline__ float2 loose_rows(const uint8_t* units, int which, const int8_t* q, const float2* scales, int t, uint32_t exponent) {
  float sums[2] = {};
#pragma unroll
  for (int u = 0; u < kSegmentUnits; u++, units += kLooseUnitBytes, q += 256, scales += 8) {
    int dots[2][2] = {};                                               // of a row and its partner with the two groups
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const uint4 v = *reinterpret_cast<const uint4*>(units + t * 128 + which * 64 + i * 16);
      const uint32_t words[2][2] = {{v.x, v.z}, {v.y, v.w}};
#pragma unroll
      for (int j = 0; j < 2; j++) {
        const int2 x = *reinterpret_cast<const int2*>(q + (2 * t + j) * 32 + i * 8);
#pragma unroll
        for (int r = 0; r < 2; r++) dots[r][j] = __dp4a((int)(words[r][j] >> 4 & 0x0f0f0f0fu), x.y, __dp4a((int)(words[r][j] & 0x0f0f0f0fu), x.x, dots[r][j]));
      }
    }
    const float4 s = *reinterpret_cast<const float4*>(scales + 2 * t);
#pragma unroll
    for (int r = 0; r < 2; r++) sums[r] = add_groups_q4(units + 512 + r * 32 + which * 16, t, (float)dots[r][0], (float)dots[r][1], s, exponent, sums[r]);
  }
  return make_float2(sums[0], sums[1]);
}

/// units_q4 with Q6, whose scales cover 16 inputs, half a group: threads t = 0, 1 have one half and t = 2, 3 the other. The halves of a group go to
/// columns of their own, so eight columns hold four groups, and two products' accumulators a unit. A thread has groups t and t + 4.
template <int N> __device__ __forceinline__ void units_q6(const UnitInputs (&of)[N], const Columns& columns, int lane, float2 (&sums)[(N + 1) / 2]) {
  const int g = lane >> 2, t = lane & 3;
  uint2 x[N][2];
  int c[N][2][4];
#pragma unroll
  for (int n = 0; n < N; n++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const uint2 all = *reinterpret_cast<const uint2*>(of[n].q + (4 * h + (g >> 1)) * 32 + t * 8);
      const bool is_mine = (g & 1) == t >> 1;
      x[n][h] = is_mine ? all : make_uint2(0, 0);
#pragma unroll
      for (int i = 0; i < 4; i++) c[n][h][i] = kMagic;
    }
#pragma unroll
  for (int p = 0; p < 4; p++) {
#pragma unroll
    for (int n = 0; n < N; n++) {
      const uint4 v = *reinterpret_cast<const uint4*>(of[n].unit + p * 512 + lane * 16);
      const uint2 low = *reinterpret_cast<const uint2*>(of[n].unit + 2048 + (p >> 1) * 512 + lane * 16 + (p & 1) * 8);
      const uint2 from = x[n][p >> 1];
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const Fragment a = e ? q6_fragment(v.z, v.w, low.y) : q6_fragment(v.x, v.y, low.x);
        const uint32_t is_here = columns.is_pair[(2 * p + e) & 3];
        mma_s8(c[n][p >> 1], a.a0, a.a1, a.a2, a.a3, from.x * is_here, from.y * is_here);
      }
    }
  }
#pragma unroll
  for (int n = 0; n < N; n++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const float s = of[n].scales[4 * h + t].x;
#pragma unroll
      for (int r = 0; r < 2; r++) {
        const uint32_t scales = *reinterpret_cast<const uint16_t*>(of[n].unit + 3072 + (g + 8 * r) * 16 + (4 * h + t) * 2) ^ 0x8080u;
        const float d = 0.25f * half_from_bits(*reinterpret_cast<const uint16_t*>(of[n].unit + 3328 + (g + 8 * r) * 2));
        float& sum = r ? sums[n / 2].y : sums[n / 2].x;
        sum = fmaf(from_magic(c[n][h][2 * r]), biased_byte<0>(scales) * d * s, sum);
        sum = fmaf(from_magic(c[n][h][2 * r + 1]), biased_byte<1>(scales) * d * s, sum);
      }
    }
}
