// attention_decode_paged_int8: one new token per sequence. Norm and RoPE of q and k, the new KV into its page, and softmax(q K) V over all
// earlier tokens, split over blocks; the block that finishes last merges. Each block serves one KV head: its four query heads share K and V.
// The arithmetic is attention_pieces.cuh's.
#pragma once
#include "attention_pieces.cuh"

// One page in flight per warp: two blocks then share a multiprocessor, and a short context leaves room for the neighbours' weights.
constexpr int kAttentionWarps = 4, kAttentionDepth = 1;
using PageRing = WarpRing<kPageBytes, kAttentionDepth>;

/// The pages of a warp in the order in which it needs them: of each of the block's splits, chain `warp`, then chain `warp` + 4.
struct PageOrder {
  const Context& context;
  int warp, shares, split, chain, page, end;
  __device__ __forceinline__ PageOrder(const Context& context_, int warp_, int share, int shares_)
      : context(context_), warp(warp_), shares(shares_), split(share), chain(warp_) { open(); }
  __device__ __forceinline__ void open() {
    page = context.first_page(split) + chain;
    end = context.end_page(split);
  }
  /// The next page, or -1.
  __device__ __forceinline__ int next() {
    while (split < context.splits && page >= end) {
      chain += kAttentionWarps;
      if (chain >= kChains) {
        chain = warp;
        split += shares;
      }
      open();
    }
    if (split >= context.splits) return -1;
    const int found = page;
    page += kChains;
    return found;
  }
};

constexpr int kPlanesAtOnce = kHidden / 256 / kSegmentUnits;             // all that a batch's product makes

/// The new token's rows of a warp: w has query head w, warp 0 also the key and warp 1 the value. Where their second planes begin is known before the
/// product is.
struct NewTokenRows {
  int row[2], split[8];
  __device__ __forceinline__ NewTokenRows(const AttentionArgs& args, int head, int warp, int lane)
      : row{(head * kGroup + warp) * kHeadDim + lane, kQueryRows + min(warp, 1) * kKvRows + head * kHeadDim + lane} {
#pragma unroll
    for (int i = 0; i < 8; i++) split[i] = args.split ? __ldg(args.split + (at(i) >> 4)) : 1;
  }
  __device__ __forceinline__ int at(int i) const { return row[i >> 2] + 32 * (i & 3); }
};
/// Adds up the planes of q, k and v.
__device__ __forceinline__ void sum_new_token(const AttentionArgs& args, int b, const NewTokenRows& rows, HeadVector (&vectors)[2]) {
  float low[8] = {}, high[8] = {};
#pragma unroll 1
  for (int from = 0; from < args.plane_count; from += kPlanesAtOnce) {         // their trips to level 2 overlap
    float v[kPlanesAtOnce][8];
#pragma unroll
    for (int p = 0; p < kPlanesAtOnce; p++)
#pragma unroll
      for (int i = 0; i < 8; i++) v[p][i] = __ldcg(args.planes + ((size_t)min(from + p, args.plane_count - 1) * args.columns + b) * kQkvRows + rows.at(i));
#pragma unroll
    for (int p = 0; p < kPlanesAtOnce; p++)
#pragma unroll
      for (int i = 0; i < 8; i++) {
        const bool is_low = from + p < rows.split[i];
        low[i] += is_low ? v[p][i] : 0.0f;
        high[i] += !is_low && from + p < args.plane_count ? v[p][i] : 0.0f;
      }
  }
#pragma unroll
  for (int i = 0; i < 8; i++) vectors[i >> 2].v[i & 3] = low[i] + high[i];
}

/// Merges, and quantises the four heads' output for the product that takes it if this block comes last.
template <typename Shared>
__device__ __forceinline__ void merge_and_store(Shared& sh, const AttentionArgs& args, int b, int head, int s, int splits, bool is_alone, int warp, int lane) {
  float4 attended;
  if (!merge(sh, args, b * kKvHeads + head, s, splits, is_alone, warp, lane, [] { __syncthreads(); }, attended)) return;
  float2 scale;
  const uint32_t packed = quantise_group(attended, scale);
  Q8Target{args.q8, args.q8_scales, args.columns, b}.store((head * kGroup + warp) * kHeadDim + 4 * lane, packed, scale);
}

extern "C" __global__ void __launch_bounds__(128, 2) attention_decode(const AttentionArgs args) {
  extern __shared__ __align__(128) uint8_t shared[];
  __shared__ AttentionShared sh;
  __shared__ uint64_t bars[kAttentionWarps * kAttentionDepth];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2;
  const int share = blockIdx.x, shares = gridDim.x, head = blockIdx.y, b = blockIdx.z;
  PageRing ring(shared, bars, warp, lane);
  const int slot = args.batch_slot[b];
  const Context context(args, slot);
  const bool has_work = slot >= 0 && share < context.splits;
  PageOrder order(context, warp, has_work ? share : kMaxSplits, shares);
  int loaded = 0, used = 0;
  auto load_next = [&]() {
    const int page = order.next();
    if (page >= 0) ring.load(loaded++, args.pool + ((size_t)context.table[page] * kKvHeads + head) * kPageBytes, kPageBytes);
    else if (!HOPPER) ring.load(loaded++, nullptr, 0);
  };
#pragma unroll 1
  for (int d = 0; d < kAttentionDepth; d++) load_next();
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

  HeadVector vectors[2];
  sum_new_token(args, b, rows, vectors);
  head_norm(vectors[0], q_gain, args.epsilon);
  head_rope(vectors[0], turn);
  share_query(sh, warp, vectors[0], lane);
  if (warp == 0) {
    head_norm(vectors[1], k_gain, args.epsilon);
    head_rope(vectors[1], turn);
  }
  if (warp < 2) {
    uint8_t* page = is_owner ? args.pool + ((size_t)context.table[position / kPageTokens] * kKvHeads + head) * kPageBytes : nullptr;
    share_new(sh, warp == 0, vectors[1], page, position % kPageTokens, lane);
  }
  __syncthreads();
  score_new(sh, warp, lane);
  __syncthreads();

#pragma unroll 1
  for (int s = share; s < splits; s += shares) {
    const int end = context.end_page(s);
#pragma unroll 1
    for (int chain = warp; chain < kChains; chain += kAttentionWarps) {
      const bool has_new = s == splits - 1 && chain == 0;
      float out[16][2], maximum = has_new ? sh.self_score[g & 3] : -1e30f, sum = has_new && (lane & 3) == 0 ? 1.0f : 0.0f;
      begin_values(sh, has_new, lane, out);
#pragma unroll 1
      for (int page = context.first_page(s) + chain; page < end; page += kChains, used++) {
        ring.wait(used);
        const uint8_t* data = ring.slot(used);
        const int valid = position - page * kPageTokens - 16 * (lane & 3);
        const PageWeights weights = weigh_page(sh, data + (16 * (g >> 1) + (g & 1)) * 128, data + 16384, valid, lane, maximum, sum, [] {});
        add_values<0>(weights, data + 8192, lane, out);
        add_values<1>(weights, data + 12288, lane, out);
        __syncwarp();
        load_next();
      }
      share_weights(sh, chain, maximum, sum, lane);
      share_values(sh, chain, out, lane);
    }
    __syncthreads();
    merge_and_store(sh, args, b, head, s, splits, shares == 1, warp, lane);
    __syncthreads();
  }
}
