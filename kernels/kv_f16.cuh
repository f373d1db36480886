// The KV cache in f16: pages of 64 tokens for one KV head, 32,768 bytes, nothing to scale. A page lies in memory as the tiles that the products of
// prompts multiply from (wgmma.cuh), so that it only has to be copied: rows of 64 f16 (128 bytes) whose eight 16-byte parts are xored with
// the row's low three bits, which also keeps the rows of a fragment in different banks.
//   [0, 8192)        keys [token][dimensions 0-63], after norm and RoPE
//   [8192, 16384)    keys [token][dimensions 64-127]
//   [16384, 32768)   values, transposed [128][token], because the second product of attention sums over tokens
// The pool is [layer][page][KV head], as in int8 (kv.cuh).
//
// Nothing clears a page when it is handed on: behind a sequence's last token lie another's values, or NaN. A score there is replaced, whatever it
// is; a value there must be cleared, because zero times NaN is NaN.
#pragma once
#include "kv.cuh"

constexpr int kPageBytesF16 = 32768, kValuesAtF16 = 16384;
/// A quarter of a page: half the dimensions of the keys, or of the values.
constexpr int kPieceBytesF16 = 8192, kPagePieces = kPageBytesF16 / kPieceBytesF16;

/// Where part `part` (eight f16) of a row begins, in bytes.
__device__ __forceinline__ int tile_part_at(int row, int part) { return row * 128 + ((part ^ (row & 7)) << 4); }

/// The nearest f16 that is a number: one infinite value would make NaN of all.
__device__ __forceinline__ __half finite_half(float v) { return __float2half_rn(fminf(fmaxf(v, -65504.0f), 65504.0f)); }

__device__ __forceinline__ void store_key_f16(uint8_t* page, int token, const HeadVector& x, int lane) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int dimension = lane + 32 * i;
    uint8_t* part = page + (dimension >> 6) * kPieceBytesF16 + tile_part_at(token, dimension >> 3 & 7);
    reinterpret_cast<__half*>(part)[dimension & 7] = finite_half(x.v[i]);
  }
}
__device__ __forceinline__ void store_value_f16(uint8_t* page, int token, const HeadVector& x, int lane) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    uint8_t* part = page + kValuesAtF16 + tile_part_at(lane + 32 * i, token >> 3);
    reinterpret_cast<__half*>(part)[token & 7] = finite_half(x.v[i]);
  }
}

/// Values of `token` and the next one, of which those before `exist` exist.
__device__ __forceinline__ uint32_t existing_values(uint32_t pair, int token, int exist) {
  return token + 1 < exist ? pair : token < exist ? pair & 0xffffu : 0;
}
/// Clears one row of values in shared memory from token `exist` on.
__device__ __forceinline__ void clear_values(uint8_t* values, int row, int exist) {
  for (int part = exist >> 3; part < 8; part++) {
    uint4* at = reinterpret_cast<uint4*>(values + tile_part_at(row, part));
    const uint4 v = *at;
    const int token = part * 8;
    *at = make_uint4(existing_values(v.x, token, exist), existing_values(v.y, token + 2, exist), existing_values(v.z, token + 4, exist),
                     existing_values(v.w, token + 6, exist));
  }
}
