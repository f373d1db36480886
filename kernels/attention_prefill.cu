// attention_prefill_paged_int8: causal attention of a prompt's new tokens over the paged int8 cache, online softmax, f16 tensor cores.
// First kv_write_prefill turns q, k, v of each token into rotated f16 queries and int8 pages; then attention_prefill reads the pages only, so a
// chunk, its earlier chunks and a shared prefix are all the same to it.
//
// A block serves 48 tokens of one sequence and one KV head: 192 rows (token, query head), 16 a warp, so K and V are loaded and turned to f16 once for
// four query heads. While the warps multiply page n they convert their share of page n + 1; one block barrier a page. With a cache in f16
// (attention_prefill_f16.cu) there is nothing to convert: page n + 1 arrives meanwhile.
//
// A token's result must not depend on its company, so the context is cut where positions say: kSplitPages pages are a split, each with a softmax of
// its own, and a token's splits are added up in order (SplitSum). Many tokens: a block goes through all its splits and adds as it goes. Few (a short
// question behind a long shared prefix): a block a split, then attention_merge adds. Same operations, same bits.
#pragma once
#include "kv_f16.cuh"
#include "prompt.cuh"

constexpr int kFlashWarps = 12, kFlashThreads = 32 * kFlashWarps, kFlashRows = 16 * kFlashWarps, kFlashTokens = kFlashRows / kGroup;
constexpr int kSplitPages = 64;

/// Per block of queries: which slot, its first row in the step's tokens, tokens in it (1..48), position of the first.
struct QueryBlock { int slot, row, tokens, position; };

struct KvWriteArgs {
  const float* qkv;         // [tokens][qkv rows]
  const float* q_gain;
  const float* k_gain;
  const double* turns;
  const int* token_slot;    // [tokens]
  const int* token_position;
  const int* page_table;
  uint8_t* pool;
  __half* q;                // [tokens][query rows], times log2(e) / sqrt(128)
  int table_stride;
  float epsilon;
};

/// Grid (tokens, ceil((heads + 2 kv heads) / 8)), 256 threads: a warp a head. `keep(page, token, is_key, vector, lane)` writes into the cache.
template <int PAGE_BYTES, typename Keep> __device__ __forceinline__ void write_prompt(const KvWriteArgs& args, Keep keep) {
  pdl_launch();
  pdl_wait();
  const int token = blockIdx.x, lane = threadIdx.x & 31, head = blockIdx.y * 8 + (threadIdx.x >> 5);
  if (head >= kHeads + 2 * kKvHeads) return;
  const int position = args.token_position[token];
  const float* from = args.qkv + (size_t)token * kQkvRows + head * kHeadDim;
  HeadVector x;
#pragma unroll
  for (int i = 0; i < 4; i++) x.v[i] = from[lane + 32 * i];
  if (head < kHeads + kKvHeads) {
    head_norm(x, load_head_gain(head < kHeads ? args.q_gain : args.k_gain, lane), args.epsilon);
    head_rope(x, head_turn(position, args.turns, lane));
  }
  if (head < kHeads) {
    __half* to = args.q + (size_t)token * kQueryRows + head * kHeadDim;
    const float to_base2 = 1.4426950408889634f * 0.08838834764831845f;
#pragma unroll
    for (int i = 0; i < 4; i++) to[lane + 32 * i] = __float2half_rn(x.v[i] * to_base2);
    return;
  }
  const bool is_key = head < kHeads + kKvHeads;
  const int kv_head = (head - kHeads) % kKvHeads;
  const int physical = args.page_table[(size_t)args.token_slot[token] * args.table_stride + position / kPageTokens];
  keep(args.pool + ((size_t)physical * kKvHeads + kv_head) * PAGE_BYTES, position % kPageTokens, is_key, x, lane);
}
extern "C" __global__ void __launch_bounds__(256) kv_write_prefill(const KvWriteArgs args) {
  write_prompt<kPageBytes>(args, [](uint8_t* page, int token, bool is_key, const HeadVector& x, int lane) {
    int digits[4];
    const uint16_t scale = head_quantise(x, digits);
    if (is_key) store_key(page, token, digits, scale, lane);
    else store_value(page, token, digits, scale, lane);
  });
}

struct FlashArgs {
  const __half* q;
  const uint8_t* pool;
  const int* page_table;
  const QueryBlock* blocks; // the longest first
  __half* out;              // [tokens][query rows]
  float* partials;          // [place][query head][kFlashPartial]: output, maximum, sum of the splits so far or of one split
  int table_stride, first_block;
  int splits;               // 1: a block goes through all of its own; more: the most that one has, a block each (grid z)
};
constexpr int kFlashPartial = 132;

/// Pages [first, first + count) of a block's context are its own.
struct PageRange {
  int first, count;
  __device__ __forceinline__ PageRange(const FlashArgs& args, const QueryBlock& block) {
    const int pages = (block.position + block.tokens - 1) / kPageTokens + 1;
    first = args.splits > 1 ? blockIdx.z * kSplitPages : 0;
    count = args.splits > 1 ? min(kSplitPages, pages - first) : pages;
  }
};
/// Splits that a token sees something of: later ones, which other tokens of its block may see, must leave it alone.
__device__ __forceinline__ int splits_of(int position) { return position / (kSplitPages * kPageTokens) + 1; }

__device__ __forceinline__ float* partial_at(const FlashArgs& args, const QueryBlock& block, int split, int token, int query_head) {
  const int place = args.splits > 1 ? ((int)blockIdx.x * args.splits + split) * kFlashTokens + token : block.row + token;
  return args.partials + ((size_t)place * kHeads + query_head) * kFlashPartial;
}

/// A row's next split joins those before it. Rounding is spelled out: two kernels must do the same.
struct SplitSum {
  float keep, take, maximum, sum;
  __device__ __forceinline__ SplitSum(float maximum_before, float sum_before, float split_maximum, float split_sum) {
    maximum = fmaxf(maximum_before, split_maximum);
    keep = exp2_fast(maximum_before - maximum);
    take = exp2_fast(split_maximum - maximum);
    sum = (*this)(sum_before, split_sum);
  }
  __device__ __forceinline__ float operator()(float before, float split) const { return __fmaf_rn(split, take, __fmul_rn(before, keep)); }
};

/// At the end of a split: adds a row's earlier splits if this block has them, then writes the row's result if all are there, else keeps them. `out`
/// is what the thread has of the row, columns 8 n + 2 t and the next; maximum and sum are the row's.
template <class Out>
__device__ __forceinline__ void finish_split(const FlashArgs& args, const QueryBlock& block, int head, int row, int split, int t, float maximum, float sum, Out out) {
  asm volatile("" : "+r"(row));                       // or the compiler keeps all addresses below in registers while it multiplies
  const int token = row >> 2, query_head = head * kGroup + (row & 3), splits = splits_of(block.position + token);
  if (token >= block.tokens || split >= splits) return;
  const bool is_alone = args.splits > 1;              // other blocks have the other splits
  float* partial = partial_at(args, block, is_alone ? split : 0, token, query_head);
  if (!is_alone && split > 0) {
    const SplitSum add(__ldcg(partial + 128), __ldcg(partial + 129), maximum, sum);
#pragma unroll
    for (int n = 0; n < 16; n++) {
      const float2 before = __ldcg(reinterpret_cast<const float2*>(partial + 8 * n + 2 * t));
      out(n, 0) = add(before.x, out(n, 0));
      out(n, 1) = add(before.y, out(n, 1));
    }
    maximum = add.maximum;
    sum = add.sum;
  }
  if (is_alone ? splits == 1 : split + 1 == splits) {
    const float scale = 1.0f / sum;
#pragma unroll
    for (int n = 0; n < 16; n++) {
      const size_t at = prompt_at<kQueryRows>(block.row + token, query_head * kHeadDim + 8 * n + 2 * t);
      *reinterpret_cast<uint32_t*>(args.out + at) = half2_bits(out(n, 0) * scale, out(n, 1) * scale);
    }
  } else {
#pragma unroll
    for (int n = 0; n < 16; n++) *reinterpret_cast<float2*>(partial + 8 * n + 2 * t) = make_float2(out(n, 0), out(n, 1));
    if (t == 0) *reinterpret_cast<float2*>(partial + 128) = make_float2(maximum, sum);
  }
}

/// Four bytes of int8 to two pairs of f16, exactly.
__device__ __forceinline__ uint2 bytes_to_halves(uint32_t word) {
  const uint32_t biased = word ^ 0x80808080u;
  uint2 r;
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(r.x) : "r"(__byte_perm(biased, 0x64646464u, 0x5140)), "r"(0x64806480u));
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(r.y) : "r"(__byte_perm(biased, 0x64646464u, 0x5342)), "r"(0x64806480u));
  return r;
}

#if !WGMMA
template <bool IS_F16> __device__ __forceinline__ void attend_prompt(const FlashArgs& args) {
  constexpr int page_bytes = IS_F16 ? kPageBytesF16 : kPageBytes;
  extern __shared__ __align__(128) uint8_t shared[];
  uint8_t* staged = shared;                          // two pages as the cache keeps them; f16 pages are read where they arrive
  uint8_t* halves = shared + (IS_F16 ? 0 : 2 * kPageBytes);   // two f16 pages: K [64][128], V^T [128][64], rows' 16-byte pieces xored with row & 7
  __shared__ float page_scales[2][2][kPageTokens];

  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
  const QueryBlock block = args.blocks[args.first_block + blockIdx.x];
  const int head = blockIdx.y;
  const int* table = args.page_table + (size_t)block.slot * args.table_stride;
  const PageRange pages(args, block);
  const int first = pages.first, count = pages.count;
  if (count <= 0) return;                            // the longest of the launch has more splits

  auto load = [&](int n) {
    if (n < count) {
      const uint8_t* from = args.pool + ((size_t)table[first + n] * kKvHeads + head) * page_bytes;
      for (int i = threadIdx.x * 16; i < page_bytes; i += kFlashThreads * 16) copy16_async(staged + (n & 1) * page_bytes + i, from + i);
    }
    copy_commit();
  };
  auto arrived = [&]() {
    copy_wait<1>();
    __syncthreads();
  };
  auto convert = [&](int n) {
    const uint8_t* from = staged + (n & 1) * kPageBytes;
    uint8_t* to = halves + (n & 1) * 32768;
#pragma unroll
    for (int piece = threadIdx.x; piece < 512; piece += kFlashThreads) {
      const int row = piece >> 3, c = piece & 7;                                    // 64 key rows of eight 16-byte pieces
      const uint4 v = *reinterpret_cast<const uint4*>(from + row * 128 + ((c ^ ((row & 1) << 2)) << 4));
      const uint2 a = bytes_to_halves(v.x), b = bytes_to_halves(v.y), e = bytes_to_halves(v.z), f = bytes_to_halves(v.w);
      *reinterpret_cast<uint4*>(to + row * 256 + (((2 * c) ^ (row & 7)) << 4)) = make_uint4(a.x, a.y, b.x, b.y);
      *reinterpret_cast<uint4*>(to + row * 256 + (((2 * c + 1) ^ (row & 7)) << 4)) = make_uint4(e.x, e.y, f.x, f.y);
    }
#pragma unroll
    for (int piece = kFlashThreads - 1 - threadIdx.x; piece < 512; piece += kFlashThreads) {   // in reverse, so that the rests fall to different warps
      const int row = piece >> 2, c = piece & 3;                                    // 128 value rows of four pieces
      const uint4 v = *reinterpret_cast<const uint4*>(from + 8192 + row * 64 + (c << 4));
      const uint2 a = bytes_to_halves(v.x), b = bytes_to_halves(v.y), e = bytes_to_halves(v.z), f = bytes_to_halves(v.w);
      *reinterpret_cast<uint4*>(to + 16384 + row * 128 + (((2 * c) ^ (row & 7)) << 4)) = make_uint4(a.x, a.y, b.x, b.y);
      *reinterpret_cast<uint4*>(to + 16384 + row * 128 + (((2 * c + 1) ^ (row & 7)) << 4)) = make_uint4(e.x, e.y, f.x, f.y);
    }
    if (threadIdx.x < 128) {
      // What lies behind the last token of the sequence was never written: its scales may be anything, even NaN.
      const bool exists = (first + n) * kPageTokens + (int)(threadIdx.x & 63) < block.position + block.tokens;
      const float scale = half_from_bits(reinterpret_cast<const uint16_t*>(from + 16384)[threadIdx.x]);
      page_scales[n & 1][threadIdx.x >> 6][threadIdx.x & 63] = exists ? scale : 0.0f;
    }
  };

  // Row r of the block is token r / 4, query head r % 4; this warp has rows 16 warp .. + 15, this thread rows g and g + 8 of them.
  uint32_t q[8][4];
  int limit[2];                                       // the last position each of my two rows may see
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int row = warp * 16 + g + 8 * r, token = row >> 2;
    limit[r] = token < block.tokens ? block.position + token : -1;
    const __half* from = args.q + (size_t)(block.row + min(token, block.tokens - 1)) * kQueryRows + (head * kGroup + (row & 3)) * kHeadDim;
#pragma unroll
    for (int k = 0; k < 8; k++) {
      q[k][r] = *reinterpret_cast<const uint32_t*>(from + k * 16 + 2 * t);
      q[k][2 + r] = *reinterpret_cast<const uint32_t*>(from + k * 16 + 8 + 2 * t);
    }
  }
  float out[16][4], maximum[2] = {-1e30f, -1e30f}, sum[2] = {0, 0};
#pragma unroll
  for (int n = 0; n < 16; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) out[n][i] = 0;

  // f16 pages keep K as two tiles of 64 dimensions.
  auto key_at = [](int row, int piece) {
    return IS_F16 ? (piece >> 3) * kPieceBytesF16 + tile_part_at(row, piece & 7) : row * 256 + ((piece ^ (row & 7)) << 4);
  };
  load(0);
  if constexpr (!IS_F16) {
    load(1);
    arrived();
    convert(0);
    __syncthreads();
  }
  const int matrix_row = (lane & 7) + ((lane >> 4) << 3), matrix_piece = (lane >> 3) & 1;   // ldmatrix: two row tiles by two pieces
  for (int n = 0; n < count; n++) {
    if constexpr (IS_F16) {
      load(n + 1);                                    // its place was read with page n - 1, before the barrier below
      arrived();
      const int exist = block.position + block.tokens - (first + n) * kPageTokens;
      if (exist < kPageTokens) {                      // the last page
        if (threadIdx.x < kHeadDim) clear_values(halves + (n & 1) * 32768 + kValuesAtF16, threadIdx.x, exist);
        __syncthreads();
      }
    } else {
      load(n + 2);                                    // its place was read by convert(n), before the barrier above
      if (n + 1 < count) {
        arrived();
        convert(n + 1);
      }
    }
    const uint8_t* keys = halves + (n & 1) * 32768;
    const uint8_t* values = keys + 16384;
    float s[8][4];
#pragma unroll
    for (int i = 0; i < 8; i++) s[i][0] = s[i][1] = s[i][2] = s[i][3] = 0;
#pragma unroll
    for (int k = 0; k < 8; k++) {
#pragma unroll
      for (int pair = 0; pair < 4; pair++) {
        uint32_t b[4];
        const int row = pair * 16 + matrix_row;
        load_matrices(b, keys + key_at(row, 2 * k + matrix_piece));
        mma_f16(s[2 * pair], q[k][0], q[k][1], q[k][2], q[k][3], b[0], b[1]);
        mma_f16(s[2 * pair + 1], q[k][0], q[k][1], q[k][2], q[k][3], b[2], b[3]);
      }
    }
    const int base = (first + n) * kPageTokens;
    float top[2] = {maximum[0], maximum[1]};
    const bool all_seen = base + kPageTokens - 1 <= min(limit[0], limit[1]);
    if constexpr (!IS_F16) {
#pragma unroll
      for (int i = 0; i < 8; i++) {
        const float2 scale = *reinterpret_cast<const float2*>(&page_scales[n & 1][0][8 * i + 2 * t]);
#pragma unroll
        for (int c = 0; c < 4; c++) {
          s[i][c] *= c & 1 ? scale.y : scale.x;
        }
      }
    }
    if (!all_seen) {
#pragma unroll
      for (int i = 0; i < 8; i++)
#pragma unroll
        for (int c = 0; c < 4; c++)
          if (base + 8 * i + 2 * t + (c & 1) > limit[c >> 1]) s[i][c] = -1e30f;
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
      for (int c = 0; c < 4; c++) top[c >> 1] = fmaxf(top[c >> 1], s[i][c]);
    float shrink[2], subtract[2];
    advance_softmax(top, maximum, sum, shrink, subtract);
    uint32_t p[4][4];                                 // left sides of the second product, four steps of 16 tokens
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const float2 scale = IS_F16 ? make_float2(1, 1) : *reinterpret_cast<const float2*>(&page_scales[n & 1][1][8 * i + 2 * t]);
      float e[4];
#pragma unroll
      for (int c = 0; c < 4; c++) {
        e[c] = exp2_fast(s[i][c] - subtract[c >> 1]);
        sum[c >> 1] += e[c];
      }
      p[i >> 1][(i & 1) * 2] = half2_bits(e[0] * scale.x, e[1] * scale.y);
      p[i >> 1][(i & 1) * 2 + 1] = half2_bits(e[2] * scale.x, e[3] * scale.y);
    }
    if (shrink[0] != 1.0f || shrink[1] != 1.0f) {
#pragma unroll
      for (int i = 0; i < 16; i++) {
        out[i][0] *= shrink[0];
        out[i][1] *= shrink[0];
        out[i][2] *= shrink[1];
        out[i][3] *= shrink[1];
      }
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
#pragma unroll
      for (int pair = 0; pair < 8; pair++) {
        uint32_t b[4];
        const int row = pair * 16 + matrix_row;
        load_matrices(b, values + row * 128 + (((2 * k + matrix_piece) ^ (row & 7)) << 4));
        mma_f16(out[2 * pair], p[k][0], p[k][1], p[k][2], p[k][3], b[0], b[1]);
        mma_f16(out[2 * pair + 1], p[k][0], p[k][1], p[k][2], p[k][3], b[2], b[3]);
      }
    }
    if (n + 1 == count || (first + n + 1) % kSplitPages == 0) {
#pragma unroll
      for (int r = 0; r < 2; r++) {
        sum[r] += __shfl_xor_sync(~0u, sum[r], 1);
        sum[r] += __shfl_xor_sync(~0u, sum[r], 2);
        finish_split(args, block, head, warp * 16 + g + 8 * r, (first + n) / kSplitPages, t, maximum[r], sum[r],
                     [&](int i, int c) -> float& { return out[i][2 * r + c]; });
        maximum[r] = -1e30f;
        sum[r] = 0;
      }
#pragma unroll
      for (int i = 0; i < 16; i++) out[i][0] = out[i][1] = out[i][2] = out[i][3] = 0;
      __syncwarp();                                   // one of a row's four threads writes the maximum that all read
    }
    __syncthreads();
  }
  copy_wait<0>();
}
extern "C" __global__ void __launch_bounds__(kFlashThreads, 1) attention_prefill(const FlashArgs args) { attend_prompt<false>(args); }
#endif

/// Adds up splits that had blocks of their own. Grid (blocks of queries, KV heads, kFlashTokens), a warp a query head.
extern "C" __global__ void __launch_bounds__(32 * kGroup) attention_merge(const FlashArgs args) {
  pdl_launch();
  pdl_wait();
  const QueryBlock block = args.blocks[args.first_block + blockIdx.x];
  const int token = blockIdx.z, lane = threadIdx.x & 31, query_head = blockIdx.y * kGroup + (threadIdx.x >> 5);
  const int splits = splits_of(block.position + token);
  if (token >= block.tokens || splits == 1) return;  // attention_prefill wrote the results of tokens with one split
  const float* partial = partial_at(args, block, 0, token, query_head);
  float4 o = __ldcg(reinterpret_cast<const float4*>(partial + 4 * lane));
  float maximum = __ldcg(partial + 128), sum = __ldcg(partial + 129);
#pragma unroll 4
  for (int split = 1; split < splits; split++) {
    partial += (size_t)kFlashTokens * kHeads * kFlashPartial;
    const float4 v = __ldcg(reinterpret_cast<const float4*>(partial + 4 * lane));
    const SplitSum add(maximum, sum, __ldcg(partial + 128), __ldcg(partial + 129));
    o = make_float4(add(o.x, v.x), add(o.y, v.y), add(o.z, v.z), add(o.w, v.w));
    maximum = add.maximum;
    sum = add.sum;
  }
  const float scale = 1.0f / sum;
  const int at = query_head * kHeadDim + 4 * lane;
  *reinterpret_cast<uint32_t*>(args.out + prompt_at<kQueryRows>(block.row + token, at)) = half2_bits(o.x * scale, o.y * scale);
  *reinterpret_cast<uint32_t*>(args.out + prompt_at<kQueryRows>(block.row + token, at + 2)) = half2_bits(o.z * scale, o.w * scale);
}
