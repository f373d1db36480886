// What decoding's attention is made of, whoever computes it: attention_decode for batches, decode_layers for one sequence.
//
// Both products run on int8 tensor cores without converting the cache. What is not int8 by nature (q, and the probabilities) is split into two
// int8 digits of base 256: the high digits are rows 0-7 of the product's left side and the low digits rows 8-15, so 16-bit precision costs
// nothing (four heads would fill only a quarter of the rows). Thread (g, t) then holds head g's scores for the 16 tokens 16t .. 16t + 15 of a
// page (the order in which K's rows are fed is ours to choose), which is just what it needs as left side of the second product, where V lies
// transposed. So scores never leave registers.
//
// Reproducible: how a sequence is split depends on its length alone, not on the batch or on who computes it: a split's pages are dealt over
// eight running softmaxes (chains), which are merged in order, and so are the splits.
#pragma once
#include "activations.cuh"
#include "kv.cuh"

constexpr int kChains = 8;
constexpr int kMaxSplits = 16;                             // times eight KV heads: as many tasks as a large GPU has multiprocessors
constexpr int kPartial = 4 * kHeadDim + 8;                 // floats: output, maximum and sum of four heads

struct AttentionArgs {
  const float* planes;          // [count][columns][qkv rows]
  const uint8_t* split;         // per row tile
  const float* q_gain;
  const float* k_gain;
  const double* turns;
  uint8_t* pool;                // this layer's pages
  const int* batch_slot;
  const int* slot_position;
  const int* page_table;        // [slot][table_stride]
  float* partials;              // [batch][kv head][split][kPartial]
  unsigned int* tickets;        // [batch][kv head], zero between steps
  int8_t* q8;
  float2* q8_scales;
  int plane_count, columns, table_stride;
  float epsilon;
};

/// Where one sequence's earlier tokens are and how they are dealt over splits: one for every eight pages, so that a chain has one of them, as long as there
/// are splits.
struct Context {
  int slot, position, pages, splits, per_split;
  const int* table;
  Context() = default;
  __device__ __forceinline__ Context(const AttentionArgs& args, int slot_) : slot(slot_) {
    position = slot < 0 ? 0 : __ldcg(args.slot_position + slot);
    pages = (position + kPageTokens - 1) / kPageTokens;
    splits = min(kMaxSplits, max(1, (pages + kChains - 1) / kChains));
    per_split = (pages + splits - 1) / splits;
    table = args.page_table + (size_t)max(slot, 0) * args.table_stride;
  }
  __device__ __forceinline__ int first_page(int split) const { return split * per_split; }
  __device__ __forceinline__ int end_page(int split) const { return min(pages, (split + 1) * per_split); }
};

/// What the warps that work on one KV head share.
struct AttentionShared {
  __align__(16) int8_t q_high[4][kHeadDim], q_low[4][kHeadDim];
  __align__(16) int8_t new_key[kHeadDim], new_value[kHeadDim];
  __align__(16) float merged[kChains][4][kHeadDim];
  float merged_max[kChains][4], merged_sum[kChains][4];
  float q_scale[4], self_score[4], value_scale, key_scale;
  bool is_last;
  __device__ __forceinline__ float new_value_at(int k) const { return (float)new_value[k] * value_scale; }
};

/// A warp hands query head `head` of the group on, as two int8 digits a dimension.
__device__ __forceinline__ void share_query(AttentionShared& sh, int head, const HeadVector& q, int lane) {
  const float largest = warp_largest(fmaxf(fmaxf(fabsf(q.v[0]), fabsf(q.v[1])), fmaxf(fabsf(q.v[2]), fabsf(q.v[3]))));
  const float inverse = largest > 0.0f ? 32512.0f / largest : 0.0f;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int v = __float2int_rn(q.v[i] * inverse), high = (v + 128) >> 8;
    sh.q_high[head][lane + 32 * i] = (int8_t)high;
    sh.q_low[head][lane + 32 * i] = (int8_t)(v - high * 256);
  }
  const float to_base2 = 1.4426950408889634f * 0.08838834764831845f;        // log2(e) / sqrt(128)
  if (lane == 0) sh.q_scale[head] = largest / 32512.0f * to_base2;
}
/// A warp hands the new token's key or value on and, with a page, keeps it there.
__device__ __forceinline__ void share_new(AttentionShared& sh, bool is_key, const HeadVector& x, uint8_t* page, int token, int lane) {
  int digits[4];
  const uint16_t scale = head_quantise(x, digits);
  int8_t* kept = is_key ? sh.new_key : sh.new_value;
#pragma unroll
  for (int i = 0; i < 4; i++) kept[lane + 32 * i] = (int8_t)digits[i];
  if (lane == 0) (is_key ? sh.key_scale : sh.value_scale) = half_from_bits(scale);
  if (!page) return;
  if (is_key) store_key(page, token, digits, scale, lane);
  else store_value(page, token, digits, scale, lane);
}
/// A warp computes query head `head` times the new key.
__device__ __forceinline__ void score_new(AttentionShared& sh, int head, int lane) {
  float dot = 0;
#pragma unroll
  for (int i = 0; i < 4; i++) dot += (float)(sh.q_high[head][lane + 32 * i] * 256 + sh.q_low[head][lane + 32 * i]) * (float)sh.new_key[lane + 32 * i];
  dot = warp_sum(dot);
  if (lane == 0) sh.self_score[head] = dot * sh.q_scale[head] * sh.key_scale;
}

/// Probabilities times value scales of a page as the second product takes them, and how they change the running result.
struct PageWeights {
  uint32_t high[4], low[4];
  float shrink, factor;
};
/// `keys`: row of token 16 (g / 2) + g % 2 of the page; `scales`: the page's key scales, then its value scales. `valid`: tokens of this thread
/// that exist. Moves the running maximum and sum of the chain on; `before_maximum` is called when they are needed, which is late.
template <typename Before>
__device__ __forceinline__ PageWeights weigh_page(const AttentionShared& sh, const uint8_t* keys, const uint8_t* scales, int valid, int lane, float& maximum,
                                                  float& sum, Before before_maximum) {
  const int g = lane >> 2, t = lane & 3;
  const float my_scale = sh.q_scale[g & 3];
  // Left side of the first product: lane (g, t) holds dimensions 64p + 16t .. + 15 of head g, high digits and low digits.
  uint4 high_digits[2], low_digits[2];
#pragma unroll
  for (int p = 0; p < 2; p++) {
    high_digits[p] = g < 4 ? *reinterpret_cast<const uint4*>(&sh.q_high[g & 3][64 * p + 16 * t]) : make_uint4(0, 0, 0, 0);
    low_digits[p] = g < 4 ? *reinterpret_cast<const uint4*>(&sh.q_low[g & 3][64 * p + 16 * t]) : make_uint4(0, 0, 0, 0);
  }
  // Scores. Product n takes tokens 16 (column / 2) + 2n + column % 2.
  float score[16];
#pragma unroll
  for (int n = 0; n < 8; n++) {
    int c[4] = {0, 0, 0, 0};
#pragma unroll
    for (int p = 0; p < 2; p++) {
      const uint4 k = *reinterpret_cast<const uint4*>(keys + n * 256 + ((64 * p + 16 * t) ^ ((g & 1) << 6)));
      mma_s8(c, high_digits[p].x, low_digits[p].x, high_digits[p].y, low_digits[p].y, k.x, k.y);
      mma_s8(c, high_digits[p].z, low_digits[p].z, high_digits[p].w, low_digits[p].w, k.z, k.w);
    }
    score[2 * n] = (float)(c[0] * 256 + c[2]);
    score[2 * n + 1] = (float)(c[1] * 256 + c[3]);
  }
  float top = -1e30f, top_scale = 0;
  const uint4* key_scales = reinterpret_cast<const uint4*>(scales + 32 * t);
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const uint4 v = key_scales[h];
    const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int token = 8 * h + i;
      const float scale = i & 1 ? high_half(words[i >> 1]) : low_half(words[i >> 1]);
      score[token] = token < valid ? score[token] * (scale * my_scale) : -1e30f;
      top = fmaxf(top, score[token]);
    }
  }
  const uint4* value_scales = reinterpret_cast<const uint4*>(scales + 128 + 32 * t);
  const uint4 scales_low = value_scales[0], scales_high = value_scales[1];
  const uint32_t scale_words[8] = {scales_low.x, scales_low.y, scales_low.z, scales_low.w, scales_high.x, scales_high.y, scales_high.z, scales_high.w};
  auto scale_of = [&](int token) {                                       // beyond the last token anything may lie there
    return token < valid ? (token & 1 ? high_half(scale_words[token >> 1]) : low_half(scale_words[token >> 1])) : 0.0f;
  };
#pragma unroll
  for (int i = 0; i < 16; i++) top_scale = fmaxf(top_scale, scale_of(i));
#pragma unroll
  for (int o = 1; o <= 2; o <<= 1) {
    top = fmaxf(top, __shfl_xor_sync(~0u, top, o));
    top_scale = fmaxf(top_scale, __shfl_xor_sync(~0u, top_scale, o));
  }
  // Probabilities times value scale, as two digits relative to the page's own largest: small pages of a long text lose nothing.
  PageWeights weights;
  before_maximum();
  const float next = fmaxf(maximum, top), shrink = exp2_fast(maximum - next), grow = exp2_fast(top - next);
  const float to_int = top_scale > 0.0f ? 32512.0f / top_scale : 0.0f;
  float page_sum = 0;
#pragma unroll
  for (int w = 0; w < 4; w++) {
    uint32_t high = 0, low = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float p = exp2_fast(score[4 * w + i] - top);
      page_sum += 4 * w + i < valid ? p : 0.0f;
      const int v = __float2int_rn(p * scale_of(4 * w + i) * to_int), digit = (v + 128) >> 8;
      high |= (uint32_t)(digit & 255) << (8 * i);
      low |= (uint32_t)((v - digit * 256) & 255) << (8 * i);
    }
    weights.high[w] = high;
    weights.low[w] = low;
  }
  sum = sum * shrink + page_sum * grow;
  maximum = next;
  weights.shrink = shrink;
  weights.factor = grow * top_scale / 32512.0f;
  return weights;
}
/// Adds half a page's values: dimensions 64 HALF .. 64 HALF + 63, from their rows.
template <int HALF>
__device__ __forceinline__ void add_values(const PageWeights& weights, const uint8_t* rows, int lane, float (&out)[16][2]) {
  const int g = lane >> 2, t = lane & 3;
#pragma unroll
  for (int n = 0; n < 8; n++) {
    const uint4 v = *reinterpret_cast<const uint4*>(rows + (8 * n + g) * 64 + 16 * t);
    int c[4] = {0, 0, 0, 0};
    mma_s8(c, weights.high[0], weights.low[0], weights.high[1], weights.low[1], v.x, v.y);
    mma_s8(c, weights.high[2], weights.low[2], weights.high[3], weights.low[3], v.z, v.w);
    float (&o)[2] = out[8 * HALF + n];
    o[0] = fmaf((float)(c[0] * 256 + c[2]), weights.factor, o[0] * weights.shrink);
    o[1] = fmaf((float)(c[1] * 256 + c[3]), weights.factor, o[1] * weights.shrink);
  }
}
// From here on `Shared` is AttentionShared or what stands for it with a cache in f16: chains and splits are merged in the same way.
/// A chain's result before its first page: nothing, or the new token.
template <typename Shared> __device__ __forceinline__ void begin_values(const Shared& sh, bool has_new, int lane, float (&out)[16][2]) {
  const int t = lane & 3;
#pragma unroll
  for (int n = 0; n < 16; n++) {
    out[n][0] = has_new ? sh.new_value_at(8 * n + 2 * t) : 0.0f;
    out[n][1] = has_new ? sh.new_value_at(8 * n + 2 * t + 1) : 0.0f;
  }
}
template <typename Shared> __device__ __forceinline__ void share_weights(Shared& sh, int chain, float maximum, float sum, int lane) {
  sum += __shfl_xor_sync(~0u, sum, 1);
  sum += __shfl_xor_sync(~0u, sum, 2);
  if (lane < 16 && (lane & 3) == 0) {
    sh.merged_max[chain][lane >> 2] = maximum;
    sh.merged_sum[chain][lane >> 2] = sum;
  }
}
template <typename Shared> __device__ __forceinline__ void share_values(Shared& sh, int chain, const float (&out)[16][2], int lane) {
  const int g = lane >> 2, t = lane & 3;
  if (g >= 4) return;
#pragma unroll
  for (int n = 0; n < 16; n++) *reinterpret_cast<float2*>(&sh.merged[chain][g][8 * n + 2 * t]) = make_float2(out[n][0], out[n][1]);
}

/// What warp w of four has of query head w: the largest score, the sum of weights, and of the weighted values a lane's dimensions 4l .. 4l + 3.
struct HeadSums {
  float top, total;
  float4 o;
  /// Takes up another part, in the order of parts, whose weights are to be multiplied by `f`.
  __device__ __forceinline__ void add(const float4& v, float f) { o.x += v.x * f; o.y += v.y * f; o.z += v.z * f; o.w += v.w * f; }
  __device__ __forceinline__ float4 attended() const {
    const float r = 1.0f / total;
    return make_float4(o.x * r, o.y * r, o.z * r, o.w * r);
  }
};
/// Merges the chains of a split.
template <typename Shared> __device__ __forceinline__ HeadSums merge_chains(const Shared& sh, int warp, int lane) {
  HeadSums sums = {-1e30f, 0, make_float4(0, 0, 0, 0)};
#pragma unroll
  for (int c = 0; c < kChains; c++) sums.top = fmaxf(sums.top, sh.merged_max[c][warp]);
#pragma unroll
  for (int c = 0; c < kChains; c++) {
    const float f = exp2_fast(sh.merged_max[c][warp] - sums.top);
    sums.total += sh.merged_sum[c][warp] * f;
    sums.add(*reinterpret_cast<const float4*>(&sh.merged[c][warp][4 * lane]), f);
  }
  return sums;
}

/// Merges the chains of split `s` and, as the last of its splits to come, the splits. False when another block (or this one, later) will finish this head.
/// `is_alone`: this block has all splits, one after another. `sync` is a barrier of the four warps.
template <typename Shared, typename Sync>
__device__ __forceinline__ bool merge(Shared& sh, const AttentionArgs& args, int ticket, int s, int splits, bool is_alone, int warp, int lane, Sync sync,
                                      float4& attended) {
  HeadSums sums = merge_chains(sh, warp, lane);
  if (splits > 1) {
    float* all = args.partials + (size_t)ticket * kMaxSplits * kPartial;
    float* partial = all + s * kPartial;
    *reinterpret_cast<float4*>(partial + warp * kHeadDim + 4 * lane) = sums.o;
    if (lane == 0) {
      partial[4 * kHeadDim + warp] = sums.top;
      partial[4 * kHeadDim + 4 + warp] = sums.total;
    }
    if (is_alone) {
      if (s < splits - 1) return false;
      __syncwarp();                                                        // a warp reads what it wrote
    } else {
      __threadfence();
      sync();
      if (warp == 0 && lane == 0) sh.is_last = atomicInc(args.tickets + ticket, splits - 1) == (unsigned)splits - 1;
      sync();
      if (!sh.is_last) return false;
      __threadfence();
    }
    const bool mine = lane < splits;                                       // lane l looks at split l
    const float my_max = mine ? __ldcg(all + lane * kPartial + 4 * kHeadDim + warp) : -1e30f;
    const float my_sum = mine ? __ldcg(all + lane * kPartial + 4 * kHeadDim + 4 + warp) : 0.0f;
    const float my_factor = exp2_fast(my_max - warp_max(my_max));
    sums.total = warp_sum(my_sum * my_factor);
    sums.o = make_float4(0, 0, 0, 0);
#pragma unroll 4
    for (int i = 0; i < splits; i++) {
      const float f = __shfl_sync(~0u, my_factor, i);
      sums.add(__ldcg(reinterpret_cast<const float4*>(all + i * kPartial + warp * kHeadDim + 4 * lane)), f);
    }
  }
  attended = sums.attended();
  return true;
}
