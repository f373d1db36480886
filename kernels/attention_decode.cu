// attention_decode_paged_int8: one new token per sequence. Norm and RoPE of q and k, the new KV into its page, and softmax(q K) V over all
// earlier tokens, split over blocks; the block that finishes last merges. Each block serves one KV head: its four query heads share K and V.
//
// Both products run on int8 tensor cores without converting the cache. What is not int8 by nature (q, and the probabilities) is split into two
// int8 digits of base 256: the high digits are rows 0-7 of the product's left side and the low digits rows 8-15, so 16-bit precision costs
// nothing (four heads would fill only a quarter of the rows). Thread (g, t) then holds head g's scores for the 16 tokens 16t .. 16t + 15 of a
// page (the order in which K's rows are fed is ours to choose), which is just what it needs as left side of the second product, where V lies
// transposed. So scores never leave registers.
//
// Reproducible: how a sequence is split depends on its length alone, not on the batch; partial results are merged in order.
#include "activations.cuh"
#include "kv.cuh"

// One page in flight per warp: two blocks then share a multiprocessor, and a short context leaves room for the neighbours' weights.
constexpr int kAttentionWarps = 4, kAttentionDepth = 1;
constexpr int kMaxSplits = 32, kPagesUnsplit = 16;
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

__device__ __forceinline__ int splits_of(int pages) { return pages <= kPagesUnsplit ? 1 : min(kMaxSplits, (pages + 3) / 4); }

/// What the four warps share while they work on one KV head.
struct AttentionShared {
  __align__(16) int8_t q_high[4][kHeadDim], q_low[4][kHeadDim];
  __align__(16) int8_t new_key[kHeadDim], new_value[kHeadDim];
  __align__(16) float merged[kAttentionWarps][4][kHeadDim];
  float merged_max[kAttentionWarps][4], merged_sum[kAttentionWarps][4];
  float q_scale[4], self_score[4], value_scale, key_scale;
  bool is_last;
};
using PageRing = WarpRing<kPageBytes, kAttentionDepth>;

/// One KV head of one sequence, for the block's share of its splits: `start` asks for pages, `run` needs q, k and v of the new token.
/// NAMED: the four warps are part of a larger block and have a barrier of their own.
template <bool NAMED> struct AttentionTask {
  const AttentionArgs& args;
  PageRing& ring;
  uint8_t* pool;
  int share, shares, head, b, lane, warp;
  int slot, position, pages, splits, per_split;
  const int* table;
  int load_split, load_page, load_end, loaded, used;

  __device__ __forceinline__ static void sync() {
    if (NAMED) asm volatile("bar.sync 1, 128;" ::: "memory");
    else __syncthreads();
  }
  __device__ __forceinline__ bool has_work() const { return slot >= 0 && share < splits; }
  __device__ __forceinline__ void open_split(int s, int& page, int& end) const {
    page = s * per_split + warp;
    end = min(pages, (s + 1) * per_split);
  }
  __device__ __forceinline__ void load_next() {
    while (load_split < splits && load_page >= load_end) {
      load_split += shares;
      if (load_split < splits) open_split(load_split, load_page, load_end);
    }
    if (slot >= 0 && load_split < splits) {
      ring.load(loaded++, pool + ((size_t)table[load_page] * kKvHeads + head) * kPageBytes, kPageBytes);
      load_page += kAttentionWarps;
    } else if (!HOPPER) ring.load(loaded++, nullptr, 0);
  }
  /// What stays the same for all layers of a step.
  __device__ __forceinline__ void look() {
    slot = args.batch_slot[b];
    position = slot < 0 ? 0 : args.slot_position[slot];
    pages = (position + kPageTokens - 1) / kPageTokens;
    splits = splits_of(pages);
    per_split = splits == 1 ? pages : (pages + splits - 1) / splits;
    table = args.page_table + (size_t)max(slot, 0) * args.table_stride;
  }
  /// `from`: pages this warp has had from its ring before.
  __device__ __forceinline__ void start(int from) {
    loaded = used = from;
    load_split = share;                                   // virtual splits are dealt over the blocks that the batch allows
    load_page = load_end = 0;
    if (load_split < splits) open_split(load_split, load_page, load_end);
#pragma unroll 1
    for (int d = 0; d < kAttentionDepth; d++) load_next();
  }
  __device__ __forceinline__ void run(AttentionShared& sh, const float* q_gain, const float* k_gain);
};

template <bool NAMED> __device__ __forceinline__ void AttentionTask<NAMED>::run(AttentionShared& sh, const float* q_gain, const float* k_gain) {
  const int g = lane >> 2, t = lane & 3;
  const bool is_owner = splits == 1 || share == (splits - 1) % shares;   // one block writes the cache

  // The new token: warp w normalises and turns query head w, then warp 0 the key and warp 1 the value.
  HeadVector vectors[2];
  const int rows[2] = {(head * kGroup + warp) * kHeadDim, kQueryRows + min(warp, 1) * kKvRows + head * kHeadDim};
  float low[8] = {}, high[8] = {};
  int split[8];
#pragma unroll
  for (int i = 0; i < 8; i++) split[i] = args.split ? args.split[(rows[i >> 2] + lane + 32 * (i & 3)) >> 4] : 1;
#pragma unroll 1
  for (int p = 0; p < args.plane_count; p += 2) {                            // two planes at a time: their latencies overlap
    const float* from = args.planes + ((size_t)p * args.columns + b) * kQkvRows + lane;
    const size_t next = p + 1 < args.plane_count ? (size_t)args.columns * kQkvRows : 0;
    float v0[8], v1[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
      v0[i] = __ldcg(from + rows[i >> 2] + 32 * (i & 3));
      v1[i] = __ldcg(from + next + rows[i >> 2] + 32 * (i & 3));
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      if (p < split[i]) low[i] += v0[i]; else high[i] += v0[i];
      if (next && p + 1 < split[i]) low[i] += v1[i]; else if (next) high[i] += v1[i];
    }
  }
#pragma unroll
  for (int i = 0; i < 8; i++) vectors[i >> 2].v[i & 3] = low[i] + high[i];
#pragma unroll 1
  for (int n = 0; n < 2; n++) {                                              // one copy of the code for both
    if (n == 1 && warp != 0) break;
    HeadVector x = vectors[0];
    if (n == 1) x = vectors[1];
    head_norm(x, n == 0 ? q_gain : k_gain, args.epsilon, lane);
    head_rope(x, position, args.turns, lane);
    if (n == 1) vectors[1] = x; else vectors[0] = x;
  }
  const HeadVector q = vectors[0];
  const float largest = warp_max(fmaxf(fmaxf(fabsf(q.v[0]), fabsf(q.v[1])), fmaxf(fabsf(q.v[2]), fabsf(q.v[3]))));
  const float inverse = largest > 0.0f ? 32512.0f / largest : 0.0f;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int v = __float2int_rn(q.v[i] * inverse), high = (v + 128) >> 8;
    sh.q_high[warp][lane + 32 * i] = (int8_t)high;
    sh.q_low[warp][lane + 32 * i] = (int8_t)(v - high * 256);
  }
  const float to_base2 = 1.4426950408889634f * 0.08838834764831845f;        // log2(e) / sqrt(128)
  if (lane == 0) sh.q_scale[warp] = largest / 32512.0f * to_base2;
  if (warp < 2) {
    int digits[4];
    const uint16_t scale = head_quantise(vectors[1], digits);
    int8_t* kept = warp == 0 ? sh.new_key : sh.new_value;
#pragma unroll
    for (int i = 0; i < 4; i++) kept[lane + 32 * i] = (int8_t)digits[i];
    if (lane == 0) (warp == 0 ? sh.key_scale : sh.value_scale) = half_from_bits(scale);
    if (is_owner) {
      uint8_t* page = pool + ((size_t)table[position / kPageTokens] * kKvHeads + head) * kPageBytes;
      if (warp == 0) store_key(page, position % kPageTokens, digits, scale, lane);
      else store_value(page, position % kPageTokens, digits, scale, lane);
    }
  }
  sync();
  {
    float dot = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) dot += (float)(sh.q_high[warp][lane + 32 * i] * 256 + sh.q_low[warp][lane + 32 * i]) * (float)sh.new_key[lane + 32 * i];
    dot = warp_sum(dot);
    if (lane == 0) sh.self_score[warp] = dot * sh.q_scale[warp] * sh.key_scale;
  }
  const float my_scale = sh.q_scale[g & 3];
  sync();

#pragma unroll 1
  for (int s = share; s < splits; s += shares) {
    int page, end;
    open_split(s, page, end);
    float out[16][2], maximum = -1e30f, sum = 0;
#pragma unroll
    for (int n = 0; n < 16; n++) out[n][0] = out[n][1] = 0;
    if (s == splits - 1 && warp == 0) {                                      // the new token itself
      maximum = sh.self_score[g & 3];
      sum = t == 0 ? 1.0f : 0.0f;
#pragma unroll
      for (int n = 0; n < 16; n++) {
        out[n][0] = (float)sh.new_value[8 * n + 2 * t] * sh.value_scale;
        out[n][1] = (float)sh.new_value[8 * n + 2 * t + 1] * sh.value_scale;
      }
    }
#pragma unroll 1
    for (; page < end; page += kAttentionWarps, used++) {
      ring.wait(used);
      const uint8_t* data = ring.slot(used);
      const int valid = position - page * kPageTokens - 16 * t;              // of my 16 tokens
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
        const uint8_t* row = data + (16 * (g >> 1) + 2 * n + (g & 1)) * 128;
        int c[4] = {0, 0, 0, 0};
#pragma unroll
        for (int p = 0; p < 2; p++) {
          const uint4 k = *reinterpret_cast<const uint4*>(row + ((64 * p + 16 * t) ^ ((g & 1) << 6)));
          mma_s8(c, high_digits[p].x, low_digits[p].x, high_digits[p].y, low_digits[p].y, k.x, k.y);
          mma_s8(c, high_digits[p].z, low_digits[p].z, high_digits[p].w, low_digits[p].w, k.z, k.w);
        }
        score[2 * n] = (float)(c[0] * 256 + c[2]);
        score[2 * n + 1] = (float)(c[1] * 256 + c[3]);
      }
      float top = -1e30f, top_scale = 0;
      const uint4* key_scales = reinterpret_cast<const uint4*>(data + 16384 + 32 * t);
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
      const uint4* value_scales = reinterpret_cast<const uint4*>(data + 16512 + 32 * t);
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
      const float next = fmaxf(maximum, top), shrink = exp2_fast(maximum - next), grow = exp2_fast(top - next);
      const float to_int = top_scale > 0.0f ? 32512.0f / top_scale : 0.0f;
      uint32_t high_words[4], low_words[4];
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
        high_words[w] = high;
        low_words[w] = low;
      }
      sum = sum * shrink + page_sum * grow;
      const float factor = grow * top_scale / 32512.0f;
      maximum = next;
#pragma unroll
      for (int n = 0; n < 16; n++) {
        const uint4 v = *reinterpret_cast<const uint4*>(data + 8192 + (8 * n + g) * 64 + 16 * t);
        int c[4] = {0, 0, 0, 0};
        mma_s8(c, high_words[0], low_words[0], high_words[1], low_words[1], v.x, v.y);
        mma_s8(c, high_words[2], low_words[2], high_words[3], low_words[3], v.z, v.w);
        out[n][0] = fmaf((float)(c[0] * 256 + c[2]), factor, out[n][0] * shrink);
        out[n][1] = fmaf((float)(c[1] * 256 + c[3]), factor, out[n][1] * shrink);
      }
      __syncwarp();
      load_next();
    }
    // Merge the warps of the block.
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    if (g < 4) {
#pragma unroll
      for (int n = 0; n < 16; n++) *reinterpret_cast<float2*>(&sh.merged[warp][g][8 * n + 2 * t]) = make_float2(out[n][0], out[n][1]);
      if (t == 0) {
        sh.merged_max[warp][g] = maximum;
        sh.merged_sum[warp][g] = sum;
      }
    }
    sync();
    // Warp w now owns query head w; lane l dimensions 4l .. 4l + 3.
    float top = -1e30f, total = 0;
    float4 o = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int w = 0; w < kAttentionWarps; w++) top = fmaxf(top, sh.merged_max[w][warp]);
#pragma unroll
    for (int w = 0; w < kAttentionWarps; w++) {
      const float f = exp2_fast(sh.merged_max[w][warp] - top);
      const float4 v = *reinterpret_cast<const float4*>(&sh.merged[w][warp][4 * lane]);
      total += sh.merged_sum[w][warp] * f;
      o.x += v.x * f; o.y += v.y * f; o.z += v.z * f; o.w += v.w * f;
    }
    const int ticket = b * kKvHeads + head;
    if (splits > 1) {
      float* partial = args.partials + ((size_t)ticket * kMaxSplits + s) * kPartial;
      *reinterpret_cast<float4*>(partial + warp * kHeadDim + 4 * lane) = o;
      if (lane == 0) {
        partial[4 * kHeadDim + warp] = top;
        partial[4 * kHeadDim + 4 + warp] = total;
      }
      __threadfence();
      sync();
      if ((threadIdx.x & 127) == 0) sh.is_last = atomicInc(args.tickets + ticket, splits - 1) == (unsigned)splits - 1;
      sync();
      if (!sh.is_last) continue;
      __threadfence();
      const float* all = args.partials + (size_t)ticket * kMaxSplits * kPartial;
      const bool mine = lane < splits;                                       // lane l looks at split l
      const float my_max = mine ? __ldcg(all + lane * kPartial + 4 * kHeadDim + warp) : -1e30f;
      const float my_sum = mine ? __ldcg(all + lane * kPartial + 4 * kHeadDim + 4 + warp) : 0.0f;
      const float my_factor = exp2_fast(my_max - warp_max(my_max));
      total = warp_sum(my_sum * my_factor);
      o = make_float4(0, 0, 0, 0);
#pragma unroll 4
      for (int i = 0; i < splits; i++) {
        const float f = __shfl_sync(~0u, my_factor, i);
        const float4 v = __ldcg(reinterpret_cast<const float4*>(all + i * kPartial + warp * kHeadDim + 4 * lane));
        o.x += v.x * f; o.y += v.y * f; o.z += v.z * f; o.w += v.w * f;
      }
    }
    const float r = 1.0f / total;
    float2 scale;
    const uint32_t packed = quantise_group(make_float4(o.x * r, o.y * r, o.z * r, o.w * r), scale);
    Q8Target{args.q8, args.q8_scales, args.columns, b}.store((head * kGroup + warp) * kHeadDim + 4 * lane, packed, scale);
    sync();
  }
}

extern "C" __global__ void __launch_bounds__(128) attention_decode(const AttentionArgs args) {
  extern __shared__ __align__(128) uint8_t shared[];
  __shared__ AttentionShared sh;
  __shared__ uint64_t bars[kAttentionWarps * kAttentionDepth];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  PageRing ring(shared, bars, warp, lane);
  AttentionTask<false> task{args, ring, args.pool, (int)blockIdx.x, (int)gridDim.x, (int)blockIdx.y, (int)blockIdx.z, lane, warp};
  task.look();
  task.start(0);
  pdl_launch();
  if (!task.has_work()) {
    // Blocks without work leave before the wait: those that have some still hold the grid back until the kernel before has ended.
#if !HOPPER
    copy_wait<0>();
#endif
    return;
  }
  pdl_wait();
  task.run(sh, args.q_gain, args.k_gain);
}
