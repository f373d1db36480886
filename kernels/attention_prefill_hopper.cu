// attention_prefill for Hopper: the same block of work as in attention_prefill.cu, by roles. Three warpgroups multiply, 64 rows (16 tokens of four query
// heads) each, with queries, scores and output in registers; one warpgroup turns int8 pages into f16 tiles in shared memory, scales included, so the
// others neither load nor scale. While one warpgroup takes exponentials, the tensor cores work for the other two; of few tokens not all have rows.
// A page in f16 is such tiles already: then the fourth warpgroup only asks for them.
#pragma once
#include "attention_prefill.cu"
#include "wgmma.cuh"

constexpr int kPageStages = 3, kTileStages = 4, kTileBytes = 32768;
constexpr int kHopperFlashThreads = 512;

/// Four int8 as two pairs of f16 times their scales.
__device__ __forceinline__ uint2 scaled_halves(uint32_t word, uint32_t scale_a, uint32_t scale_b) {
  uint2 r = bytes_to_halves(word);
  asm("mul.rn.f16x2 %0, %0, %1;" : "+r"(r.x) : "r"(scale_a));
  asm("mul.rn.f16x2 %0, %0, %1;" : "+r"(r.y) : "r"(scale_b));
  return r;
}
/// 127 times a scale must stay finite, or one huge value would make NaN of all.
__device__ __forceinline__ uint32_t bounded_scales(uint32_t pair) {
  uint32_t r;
  asm("min.f16x2 %0, %1, %2;" : "=r"(r) : "r"(pair), "r"(0x60076007u));      // 515.5
  return r;
}

/// What the fourth warpgroup does with a cache in f16: copies of whole pages arrive on `full` by themselves. `pages`: the first page of the KV head;
/// `exist`: tokens that exist from page 0 of the table on; `arrived`: for the one page that is not full.
__device__ __forceinline__ void provide_pages_f16(const uint8_t* pages, const int* table, int count, int exist, int thread, uint8_t* tiles, uint64_t* arrived,
                                                  uint64_t* full, uint64_t* empty) {
  for (int n = 0; n < count; n++, exist -= kPageTokens) {
    const bool is_full = exist >= kPageTokens;
    const int stage = n % kTileStages;
    uint8_t* to = tiles + stage * kTileBytes;
    barrier_wait(empty + stage, (n / kTileStages & 1) ^ 1);
    if (thread == 0) bulk_copy(to, pages + (size_t)table[n] * kKvHeads * kPageBytesF16, kPageBytesF16, is_full ? full + stage : arrived);
    if (is_full) continue;
    barrier_wait(arrived, 0);
    clear_values(to + kValuesAtF16, thread, exist);           // a thread a row
    shared_fence();
    some_threads_sync(1, 128);
    if (thread == 0) barrier_arrive(full + stage);
  }
}

template <bool IS_F16> __device__ __forceinline__ void attend_prompt(const FlashArgs& args) {
  extern __shared__ __align__(1024) uint8_t shared[];
  uint8_t* tiles = shared;                                       // K: two tiles of [64 tokens][64], V: [128][64 tokens], of one page
  uint8_t* staged = shared + kTileStages * kTileBytes;           // int8 pages
  uint64_t* arrived = reinterpret_cast<uint64_t*>(staged + (IS_F16 ? 0 : kPageStages * kPageBytes));
  uint64_t* full = arrived + kPageStages;
  uint64_t* empty = full + kTileStages;

  pdl_launch();
  const int lane = threadIdx.x & 31, warp = __shfl_sync(~0u, threadIdx.x >> 5, 0), g = lane >> 2, t = lane & 3;
  const QueryBlock block = args.blocks[args.first_block + blockIdx.x];
  const int head = blockIdx.y;
  const PageRange pages(args, block);
  const int first = pages.first, count = pages.count;
  if (count <= 0) return;                                        // the longest of the launch has more splits
  const int warps = (block.tokens + 15) / 16 * 4;                // that have rows

  if (threadIdx.x == 0) {
    for (int i = 0; i < kPageStages; i++) barrier_init_count(arrived + i, 1);
    for (int i = 0; i < kTileStages; i++) {
      barrier_init_count(full + i, IS_F16 ? 1 : 4);
      barrier_init_count(empty + i, warps);
    }
    barrier_init_done();
  }
  pdl_wait();
  __syncthreads();

  if (warp >= kFlashWarps) {
    fewer_registers<32>();
    const int thread = threadIdx.x - kFlashThreads;
    const int* table = args.page_table + (size_t)block.slot * args.table_stride + first;
    if constexpr (IS_F16) {
      const int exist = block.position + block.tokens - first * kPageTokens;
      provide_pages_f16(args.pool + (size_t)head * kPageBytesF16, table, count, exist, thread, tiles, arrived, full, empty);
      return;
    }
    auto load = [&](int n) {
      if (n < count && thread == 0)
        bulk_copy(staged + n % kPageStages * kPageBytes, args.pool + ((size_t)table[n] * kKvHeads + head) * kPageBytes, kPageBytes, arrived + n % kPageStages);
    };
    for (int n = 0; n < kPageStages; n++) load(n);
    // Eight neighbouring lanes write two rows of one tile: all banks once.
    const int key_row = (thread >> 5) * 4 + (lane >> 4) * 2 + (lane >> 2 & 1), key_piece = (lane >> 3 & 1) * 4 + (lane & 3);
    const int value_row = thread >> 2, value_piece = thread & 3;
    for (int n = 0; n < count; n++) {
      const uint8_t* from = staged + n % kPageStages * kPageBytes;
      uint8_t* to = tiles + n % kTileStages * kTileBytes;
      // What lies behind the last token of the sequence was never written: its scales may be anything, even NaN.
      const int exist = block.position + block.tokens - (first + n) * kPageTokens;
      barrier_wait(arrived + n % kPageStages, n / kPageStages & 1);
      barrier_wait(empty + n % kTileStages, (n / kTileStages & 1) ^ 1);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int row = i * 16 + key_row;
        uint32_t scale = reinterpret_cast<const uint16_t*>(from + 16384)[row];
        scale = row < exist ? bounded_scales(scale | scale << 16) : 0;
        const uint4 v = *reinterpret_cast<const uint4*>(from + row * 128 + ((key_piece ^ ((row & 1) << 2)) << 4));
        uint8_t* line = to + (key_piece >> 2) * 8192 + row * 128;
        const uint2 a = scaled_halves(v.x, scale, scale), b = scaled_halves(v.y, scale, scale);
        *reinterpret_cast<uint4*>(line + ((2 * (key_piece & 3) ^ (row & 7)) << 4)) = make_uint4(a.x, a.y, b.x, b.y);
        const uint2 c = scaled_halves(v.z, scale, scale), d = scaled_halves(v.w, scale, scale);
        *reinterpret_cast<uint4*>(line + (((2 * (key_piece & 3) + 1) ^ (row & 7)) << 4)) = make_uint4(c.x, c.y, d.x, d.y);
      }
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const uint4 raw = *reinterpret_cast<const uint4*>(from + 16512 + value_piece * 32 + half * 16);
        uint32_t scales[4] = {bounded_scales(raw.x), bounded_scales(raw.y), bounded_scales(raw.z), bounded_scales(raw.w)};
        if (exist < kPageTokens) {
#pragma unroll
          for (int i = 0; i < 4; i++) {
            const int token = value_piece * 16 + half * 8 + 2 * i;
            scales[i] &= (token < exist ? 0xffffu : 0u) | (token + 1 < exist ? 0xffff0000u : 0u);
          }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int row = i * 32 + value_row;
          const uint2 v = *reinterpret_cast<const uint2*>(from + 8192 + row * 64 + value_piece * 16 + half * 8);
          const uint2 a = scaled_halves(v.x, scales[0], scales[1]), b = scaled_halves(v.y, scales[2], scales[3]);
          *reinterpret_cast<uint4*>(to + 16384 + row * 128 + (((2 * value_piece + half) ^ (row & 7)) << 4)) = make_uint4(a.x, a.y, b.x, b.y);
        }
      }
      shared_fence();
      some_threads_sync(1, 128);                                // all have read the page and written the tiles
      if (lane == 0) barrier_arrive(full + n % kTileStages);
      load(n + kPageStages);
    }
  } else if (warp < warps) {
    more_registers<160>();
    // Row r of the block is token r / 4, query head r % 4; this warp has rows 16 warp .. + 15, this thread rows g and g + 8 of them.
    uint32_t q[8][4];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int row = warp * 16 + g + 8 * r, token = row >> 2;
      const __half* from = args.q + (size_t)(block.row + min(token, block.tokens - 1)) * kQueryRows + (head * kGroup + (row & 3)) * kHeadDim;
#pragma unroll
      for (int k = 0; k < 8; k++) {
        q[k][r] = *reinterpret_cast<const uint32_t*>(from + k * 16 + 2 * t);
        q[k][2 + r] = *reinterpret_cast<const uint32_t*>(from + k * 16 + 8 + 2 * t);
      }
    }
    const int warp_position = block.position + warp * 4;         // of the warp's first token
    float out[64], maximum[2] = {-1e30f, -1e30f}, sum[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < 64; i++) out[i] = 0;

    for (int n = 0; n < count; n++) {
      const uint32_t keys = shared_address(tiles + n % kTileStages * kTileBytes), values = keys + 16384;
      float s[32];
      barrier_wait(full + n % kTileStages, n / kTileStages & 1);
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < 8; k++) wgmma<64>(s, q[k], tile_descriptor(keys + (k >> 2) * 8192 + (k & 3) * 32), k != 0);
      wgmma_commit();
      wgmma_wait<0>();
      hold(s);
      const int base = (first + n) * kPageTokens;
      if (base + kPageTokens - 1 > warp_position) {
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
          for (int c = 0; c < 4; c++)
            if (base + 8 * i + 2 * t + (c & 1) > warp_position + ((g + 8 * (c >> 1)) >> 2)) s[4 * i + c] = -1e30f;
      }
      float top[2] = {maximum[0], maximum[1]};
#pragma unroll
      for (int i = 0; i < 32; i++) top[i >> 1 & 1] = fmaxf(top[i >> 1 & 1], s[i]);
      float shrink[2], subtract[2];
      advance_softmax(top, maximum, sum, shrink, subtract);
      uint32_t p[4][4];                                 // left sides of the second product, four steps of 16 tokens
#pragma unroll
      for (int i = 0; i < 8; i++) {
        float e[4];
#pragma unroll
        for (int c = 0; c < 4; c++) {
          e[c] = exp2_fast(s[4 * i + c] - subtract[c >> 1]);
          sum[c >> 1] += e[c];
        }
        p[i >> 1][(i & 1) * 2] = half2_bits(e[0], e[1]);
        p[i >> 1][(i & 1) * 2 + 1] = half2_bits(e[2], e[3]);
      }
      if (shrink[0] != 1.0f || shrink[1] != 1.0f) {
#pragma unroll
        for (int i = 0; i < 64; i++) out[i] *= shrink[i >> 1 & 1];
      }
      hold(out);
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < 4; k++) wgmma<128>(out, p[k], tile_descriptor(values + k * 32), 1);
      wgmma_commit();
      wgmma_wait<0>();
      hold(out);
      if (lane == 0) barrier_arrive(empty + n % kTileStages);

      if (n + 1 == count || (first + n + 1) % kSplitPages == 0) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
          sum[r] += __shfl_xor_sync(~0u, sum[r], 1);
          sum[r] += __shfl_xor_sync(~0u, sum[r], 2);
          finish_split(args, block, head, warp * 16 + g + 8 * r, (first + n) / kSplitPages, t, maximum[r], sum[r],
                       [&](int i, int c) -> float& { return out[4 * i + 2 * r + c]; });
          maximum[r] = -1e30f;
          sum[r] = 0;
        }
#pragma unroll
        for (int i = 0; i < 64; i++) out[i] = 0;
        __syncwarp();                                   // one of a row's four threads writes the maximum that all read
      }
    }
  }
}
extern "C" __global__ void __launch_bounds__(kHopperFlashThreads, 1) attention_prefill(const FlashArgs args) { attend_prompt<false>(args); }
