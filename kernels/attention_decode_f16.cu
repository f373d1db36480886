// attention_decode_f16: what attention_decode does, with a cache in f16. Splits, chains and their merging are the same (attention_pieces.cuh).
//
// Both products run on f16 tensor cores with f32 sums. What is not f16 by nature (q, and the probabilities) is split into the nearest f16 and the
// rest that it leaves: the first are rows 0-7 of the product's left side and the rests rows 8-15, which four heads would leave empty. So the
// cache is the only thing that is rounded to 11 bits. Thread (g, t) holds head g's scores for tokens 8n + 2t and 8n + 2t + 1 of a page, which is
// how the second product takes them: scores never leave registers.
#pragma once
#include "attention_decode.cu"
#include "kv_f16.cuh"

// A page arrives in quarters: two in flight for each warp are as many bytes as a page in int8, and fit into 99 KB with the rest.
constexpr int kPieceDepth = 2;
using PieceRing = WarpRing<kPieceBytesF16, kPieceDepth>;

/// What the warps that work on one KV head share.
struct AttentionSharedF16 {
  // Queries times log2(e) / sqrt(128) and what f16 leaves of them; eight more a row keep four rows in different banks.
  __align__(16) __half q[4][kHeadDim + 8], q_rest[4][kHeadDim + 8];
  float new_key[kHeadDim], new_value[kHeadDim];            // as the cache keeps them
  __align__(16) float merged[kChains][4][kHeadDim];
  float merged_max[kChains][4], merged_sum[kChains][4];
  float self_score[4];
  bool is_last;
  __device__ __forceinline__ float new_value_at(int k) const { return new_value[k]; }
};

/// A pair of values as f16, and as f16 what that leaves.
__device__ __forceinline__ void split_halves(float a, float b, uint32_t& halves, uint32_t& rests) {
  const __half2 near = __floats2half2_rn(a, b);
  const float2 back = __half22float2(near);
  halves = *reinterpret_cast<const uint32_t*>(&near);
  rests = half2_bits(a - back.x, b - back.y);
}

/// A warp hands query head `head` of the group on.
__device__ __forceinline__ void share_query_f16(AttentionSharedF16& sh, int head, const HeadVector& q, int lane) {
  const float to_base2 = 1.4426950408889634f * 0.08838834764831845f;        // log2(e) / sqrt(128)
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const float v = q.v[i] * to_base2;
    sh.q[head][lane + 32 * i] = finite_half(v);
    sh.q_rest[head][lane + 32 * i] = finite_half(v - __half2float(finite_half(v)));
  }
}
/// A warp hands the new token's key or value on and, with a page, keeps it there.
__device__ __forceinline__ void share_new_f16(AttentionSharedF16& sh, bool is_key, const HeadVector& x, uint8_t* page, int token, int lane) {
  float* kept = is_key ? sh.new_key : sh.new_value;
#pragma unroll
  for (int i = 0; i < 4; i++) kept[lane + 32 * i] = __half2float(finite_half(x.v[i]));
  if (!page) return;
  if (is_key) store_key_f16(page, token, x, lane);
  else store_value_f16(page, token, x, lane);
}
/// A warp computes query head `head` times the new key.
__device__ __forceinline__ void score_new_f16(AttentionSharedF16& sh, int head, int lane) {
  float dot = 0;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int k = lane + 32 * i;
    dot += (__half2float(sh.q[head][k]) + __half2float(sh.q_rest[head][k])) * sh.new_key[k];
  }
  dot = warp_sum(dot);
  if (lane == 0) sh.self_score[head] = dot;
}

/// Adds what 64 dimensions give to the scores of a page's 64 tokens; `q`: left sides of their four steps of 16.
__device__ __forceinline__ void add_scores(const uint32_t (&q)[4][4], const uint8_t* keys, int lane, float (&score)[8][4]) {
  const int matrix_row = (lane & 7) + ((lane >> 4) << 3), matrix_part = lane >> 3 & 1;      // ldmatrix: two row tiles by two parts
#pragma unroll
  for (int k = 0; k < 4; k++) {
#pragma unroll
    for (int pair = 0; pair < 4; pair++) {
      uint32_t b[4];
      load_matrices(b, keys + tile_part_at(pair * 16 + matrix_row, 2 * k + matrix_part));
      mma_f16(score[2 * pair], q[k][0], q[k][1], q[k][2], q[k][3], b[0], b[1]);
      mma_f16(score[2 * pair + 1], q[k][0], q[k][1], q[k][2], q[k][3], b[2], b[3]);
    }
  }
}

/// Probabilities of a page as left sides of the second product, four steps of 16 tokens, and how they change the running result.
struct PageWeightsF16 {
  uint32_t p[4][4];
  float shrink, grow;
};
/// `exist`: tokens of the page that exist, at least one. Moves the running maximum and sum of the chain on.
__device__ __forceinline__ PageWeightsF16 weigh_scores(const float (&score)[8][4], int exist, int lane, float& maximum, float& sum) {
  const int t = lane & 3;
  float s[8][2], top = -1e30f;
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      s[n][i] = 8 * n + 2 * t + i < exist ? score[n][i] + score[n][i + 2] : -1e30f;
      top = fmaxf(top, s[n][i]);
    }
  top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
  top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
  // Relative to the page's own largest: small pages of a long text lose nothing.
  PageWeightsF16 weights;
  const float next = fmaxf(maximum, top);
  weights.shrink = exp2_fast(maximum - next);
  weights.grow = exp2_fast(top - next);
  float page_sum = 0;
#pragma unroll
  for (int n = 0; n < 8; n++) {
    const float a = exp2_fast(s[n][0] - top), b = exp2_fast(s[n][1] - top);
    page_sum += a + b;
    split_halves(a, b, weights.p[n >> 1][(n & 1) * 2], weights.p[n >> 1][(n & 1) * 2 + 1]);
  }
  sum = sum * weights.shrink + page_sum * weights.grow;
  maximum = next;
  return weights;
}
/// Adds half a page's values: dimensions 64 HALF .. 64 HALF + 63, from their rows.
template <int HALF>
__device__ __forceinline__ void add_values_f16(const PageWeightsF16& weights, const uint8_t* values, int exist, int lane, float (&out)[16][2]) {
  const int t = lane & 3, matrix_row = (lane & 7) + ((lane >> 4) << 3), matrix_part = lane >> 3 & 1;
#pragma unroll
  for (int pair = 0; pair < 4; pair++) {
    float c[2][4] = {};
#pragma unroll
    for (int k = 0; k < 4; k++) {
      uint32_t b[4];
      load_matrices(b, values + tile_part_at(pair * 16 + matrix_row, 2 * k + matrix_part));
      if (exist < kPageTokens) {
#pragma unroll
        for (int i = 0; i < 4; i++) b[i] = existing_values(b[i], 16 * k + 8 * (i & 1) + 2 * t, exist);
      }
      mma_f16(c[0], weights.p[k][0], weights.p[k][1], weights.p[k][2], weights.p[k][3], b[0], b[1]);
      mma_f16(c[1], weights.p[k][0], weights.p[k][1], weights.p[k][2], weights.p[k][3], b[2], b[3]);
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float (&o)[2] = out[8 * HALF + 2 * pair + i];
      o[0] = fmaf(c[i][0] + c[i][2], weights.grow, o[0] * weights.shrink);
      o[1] = fmaf(c[i][1] + c[i][3], weights.grow, o[1] * weights.shrink);
    }
  }
}

extern "C" __global__ void __launch_bounds__(128, 2) attention_decode_f16(const AttentionArgs args) {
  extern __shared__ __align__(128) uint8_t shared[];
  __shared__ AttentionSharedF16 sh;
  __shared__ uint64_t bars[kAttentionWarps * kPieceDepth];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
  const int share = blockIdx.x, shares = gridDim.x, head = blockIdx.y, b = blockIdx.z;
  PieceRing ring(shared, bars, warp, lane);
  const int slot = args.batch_slot[b];
  const Context context(args, slot);
  const bool has_work = slot >= 0 && share < context.splits;
  PageOrder order(context, warp, has_work ? share : kMaxSplits, shares);
  auto page_at = [&](int page) { return args.pool + ((size_t)context.table[page] * kKvHeads + head) * kPageBytesF16; };
  int loaded = 0, used = 0;
  const uint8_t* source = nullptr;                           // the page that is being loaded
  auto load_next = [&]() {
    const int piece = loaded % kPagePieces;
    if (piece == 0) {
      const int page = order.next();
      source = page >= 0 ? page_at(page) : nullptr;
    }
    if (source || !HOPPER) ring.load(loaded, source + piece * kPieceBytesF16, source ? kPieceBytesF16 : 0);
    loaded++;
  };
#pragma unroll 1
  for (int d = 0; d < kPieceDepth; d++) load_next();
  // What does not hang on this step's products: gains, and the turn of RoPE.
  const HeadVector q_gain = load_head_gain(args.q_gain, lane), k_gain = load_head_gain(args.k_gain, lane);
  const HeadTurn turn = head_turn(context.position, args.turns, lane);
  const NewTokenRows rows(args, head, warp, lane);
  pdl_launch();
  if (!has_work) {
    // Blocks without work leave before the wait: those that have some still hold the grid back until the kernel before has ended.
#if !HOPPER
    copy_wait<0>();
#endif
    return;
  }
  pdl_wait();

  const int splits = context.splits, position = context.position;
  const bool is_owner = splits == 1 || share == (splits - 1) % shares;   // one block writes the cache

  // The new token: warp w normalises and turns query head w, then warp 0 the key and warp 1 the value.
  HeadVector vectors[2];
  sum_new_token(args, b, rows, vectors);
  head_norm(vectors[0], q_gain, args.epsilon);
  head_rope(vectors[0], turn);
  share_query_f16(sh, warp, vectors[0], lane);
  if (warp == 0) {
    head_norm(vectors[1], k_gain, args.epsilon);
    head_rope(vectors[1], turn);
  }
  if (warp < 2) {
    share_new_f16(sh, warp == 0, vectors[1], is_owner ? page_at(position / kPageTokens) : nullptr, position % kPageTokens, lane);
  }
  __syncthreads();
  score_new_f16(sh, warp, lane);
  // Left sides of the first product: of each 16 dimensions, head g's in rows 0-7 and the rests in rows 8-15.
  uint32_t q[2][4][4];
#pragma unroll
  for (int step = 0; step < 8; step++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const __half* from = (i & 1 ? sh.q_rest : sh.q)[g & 3] + 16 * step + 8 * (i >> 1) + 2 * t;
      q[step >> 2][step & 3][i] = g < 4 ? *reinterpret_cast<const uint32_t*>(from) : 0;
    }
  __syncthreads();

  auto next_piece = [&]() {
    ring.wait(used);
    return ring.slot(used);
  };
  auto leave_piece = [&]() {
    __syncwarp();
    used++;
    load_next();
  };
#pragma unroll 1
  for (int s = share; s < splits; s += shares) {
    const int end = context.end_page(s);
#pragma unroll 1
    for (int chain = warp; chain < kChains; chain += kAttentionWarps) {
      const bool has_new = s == splits - 1 && chain == 0;
      float out[16][2], maximum = has_new ? sh.self_score[g & 3] : -1e30f, sum = has_new && t == 0 ? 1.0f : 0.0f;
      begin_values(sh, has_new, lane, out);
#pragma unroll 1
      for (int page = context.first_page(s) + chain; page < end; page += kChains) {
        const int exist = position - page * kPageTokens;
        float score[8][4] = {};
        add_scores(q[0], next_piece(), lane, score);
        leave_piece();
        add_scores(q[1], next_piece(), lane, score);
        leave_piece();
        const PageWeightsF16 weights = weigh_scores(score, exist, lane, maximum, sum);
        add_values_f16<0>(weights, next_piece(), exist, lane, out);
        leave_piece();
        add_values_f16<1>(weights, next_piece(), exist, lane, out);
        leave_piece();
      }
      share_weights(sh, chain, maximum, sum, lane);
      share_values(sh, chain, out, lane);
    }
    __syncthreads();
    merge_and_store(sh, args, b, head, s, splits, shares == 1, warp, lane);
    __syncthreads();
  }
}
