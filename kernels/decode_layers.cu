// decode_layers: all layers of one decode step in one kernel, for one sequence on Hopper. Two things make it fast.
//
// Weights never stop: a producer warp walks through everything the block will read in this step, layer after layer (its units of each matrix, and
// the KV pages it attends to), and asks for the next piece as soon as one of the eight consumer warps frees a slot. What is computed does not
// depend on when a weight arrives, so the bus works while the blocks wait for one another.
//
// Results are their own flags: between two products every block needs what all the others computed. Instead of a barrier (write, fence, count,
// watch the counter, read: four trips to level 2) results go to places that hold kEmpty, a NaN that no computation gives, and a reader
// asks until none is left: one trip. Each place is used once a step; while a step uses one set of places, it empties the other for the
// next step. (NCCL's LL protocol flags each word for the same reason.)
//
// The arithmetic is that of gemv_w4a8 and attention_decode, bit for bit.
#include "decode_block.cuh"
#include "exchange.cuh"
#include "units.cuh"

#if HOPPER || !defined(__CUDA_ARCH__)

struct DecodeArgs {
  AttentionArgs attention;           // pool, gains, planes and q8 are the layer's or not used
  const LayerArgs* layers;
  const int4* qkv_v4;                // work ranges, as in gemv_w4a8; those of q, k, v and of gate and up are whole tiles
  const int4* qkv_v6;
  const int4* output;
  const int4* gate_up;
  const int4* down_q4;
  const int4* down_q6;
  const uint8_t* output_splits;      // per row tile, the segment where its second plane begins
  const uint8_t* down_q4_splits;
  const uint8_t* down_q6_splits;
  float* x;                          // [hidden]: the embedding; in the end the residual stream before the last product
  float* down_planes;                // [2][hidden]: the last product
  uint8_t* exchange;                 // [2][layers][kExchangeBytes], kEmpty at the very start
  unsigned int* steps;               // how many steps there were: which half of the exchange is in use
  long long* trace;                  // [products][8] clocks of one block, for the bench; usually null
  int layer_count;
  float epsilon;
};

/// What the blocks tell each other in a layer, as byte offsets.
constexpr int kQkvAt = 0, kAttendedAt = kQkvAt + 4 * kQkvRows, kAttendedScalesAt = kAttendedAt + kQueryRows, kOutputAt = kAttendedScalesAt + kQueryRows / 4,
              kHAt = kOutputAt + 8 * kHidden, kDownAt = kHAt + 2 * kFeedForward, kExchangeBytes = kDownAt + 8 * kHidden;

enum Step { kQkvStep, kOutputStep, kGateUpStep, kDownStep, kStepsOfLayer };
/// Which of the six kinds of shares a layer's step uses.
__device__ __forceinline__ int kind_of(int step, unsigned types) {
  return step == kQkvStep ? (types & 1) : step == kDownStep ? 4 + (types >> 1 & 1) : step == kOutputStep ? 2 : 3;
}

/// One lane a consumer warp: everything that warp will read, in order.
__device__ __forceinline__ void produce(const DecodeArgs& args, Block& s, int warp) {
  const int tasks = kKvHeads * s.context.splits;
  int n = 0;
#pragma unroll 1
  for (int index = 0; index < args.layer_count; index++) {
    const LayerArgs& layer = s.layers[index];
    const unsigned types = (unsigned)layer.types;
#pragma unroll 1
    for (int step = 0; step < kStepsOfLayer; step++) {
      const Share& share = s.shares[kind_of(step, types)];
      const uint8_t* a = step == kQkvStep ? layer.qkv : step == kOutputStep ? layer.output : step == kGateUpStep ? layer.gate_up : layer.down;
#pragma unroll 1
      for (int i = warp; i < share.count; i += kConsumers) {
        const bool in_a = i < share.count_a, q6 = in_a ? step == kDownStep && (types & 2) : types & 1;
        const int segment = in_a ? share.from_a + i : share.from_b + i - share.count_a;
        const uint8_t* from = (in_a ? a : layer.value) + (size_t)segment * (q6 ? kSegmentBytes<kQ6> : kSegmentBytes<kQ4>);
        fetch(s, warp, n, from, q6 ? kUnitBytes<kQ6> : kSegmentBytes<kQ4>);
        if (q6) fetch(s, warp, n, from + kUnitBytes<kQ6>, kUnitBytes<kQ6>);
      }
      if (step != kQkvStep) continue;
#pragma unroll 1
      for (int task = blockIdx.x; task < tasks; task += gridDim.x) {
        const int head = task % kKvHeads, split = task / kKvHeads, end = s.context.end_page(split);
#pragma unroll 1
        for (int page = s.context.first_page(split) + warp; page < end; page += kChains) {
          const uint8_t* from = layer.pool + ((size_t)__ldg(s.context.table + page) * kKvHeads + head) * kPageBytes;
          fetch(s, warp, n, from, 4096, from + 16384, 256);                    // keys and all scales, keys, values, values
#pragma unroll 1
          for (int quarter = 1; quarter < 4; quarter++) fetch(s, warp, n, from + 4096 * quarter, 4096);
        }
      }
    }
  }
}

/// A consumer warp's segments of a product; each leaves its 16 sums in the results.
__device__ __forceinline__ void multiply(Block& s, const Share& share, bool a_is_q6, bool b_is_q6, int& n, int warp, int lane) {
  int at = (share.start + warp) % share.segments;
#pragma unroll 1
  for (int i = warp; i < share.count; i += kConsumers) {
    const int8_t* q = s.xq + at * kSegmentUnits * 256;
    const float2* scales = s.xs + at * kSegmentUnits * 8;
    float row = 0, row8 = 0;
    if (i < share.count_a ? a_is_q6 : b_is_q6) {
#pragma unroll 1
      for (int u = 0; u < kSegmentUnits; u++) {
        unit_q6(piece(s, warp, n), q + u * 256, scales + u * 8, lane, row, row8);
        release(s, warp, lane, n);
      }
    } else {
      const uint8_t* data = piece(s, warp, n);
#pragma unroll 1
      for (int u = 0; u < kSegmentUnits; u++) unit_q4(data + u * kUnitBytes<kQ4>, q + u * 256, scales + u * 8, lane, row, row8);
      release(s, warp, lane, n);
    }
    at = (at + kConsumers) % share.segments;
    row += __shfl_xor_sync(~0u, row, 1);
    row8 += __shfl_xor_sync(~0u, row8, 1);
    row += __shfl_xor_sync(~0u, row, 2);
    row8 += __shfl_xor_sync(~0u, row8, 2);
    if ((lane & 3) == 0) {
      s.results[i * 16 + (lane >> 2)] = row;
      s.results[i * 16 + (lane >> 2) + 8] = row8;
    }
  }
}

/// The block's rows from its segments: into two planes of `rows`, or SiLU of pairs into h.
__device__ __forceinline__ void finish(const Block& s, const Share& share, uint8_t* out, int rows, bool is_silu, int thread) {
#pragma unroll 1
  for (int i = thread; i < share.tiles * 16; i += kConsumerThreads) {               // whole half-warps
    const int index = i >> 4;
    // Lanes 2r and 2r + 1 of a tile of gate and up take rows r and r + 8, so that a pair are neighbours.
    const int row = is_silu ? ((i & 15) >> 1) + (i & 1) * 8 : i & 15;
    int low, high, tile;                                                       // segments of the share; the tile among all rows
    bool is_second = false;
    if (index < share.tiles_a) {
      tile = share.tile_a + index;
      low = max(0, tile * share.segments - share.from_a);
      high = min(share.count_a, (tile + 1) * share.segments - share.from_a);
      is_second = share.from_a > tile * share.segments;
    } else {
      low = share.count_a + (index - share.tiles_a) * share.segments;
      high = low + share.segments;
      tile = (kQueryRows + kKvRows) / 16 + share.tile_b + index - share.tiles_a;
    }
    float sum = 0;
#pragma unroll 5
    for (int k = low; k < high; k++) sum += s.results[k * 16 + row];
    if (is_silu) {
      const unsigned others = __activemask();
      const float up = __shfl_xor_sync(others, sum, 1);
      const uint32_t h = half_bits(fminf(fmaxf(silu(sum) * up, -65504.0f), 65504.0f)), next = __shfl_xor_sync(others, h, 2);
      if ((i & 3) == 0) tell_word(out + (tile * 8 + row) * 2, h | next << 16);
    } else tell_float(out + (size_t)((is_second ? rows : 0) + tile * 16 + row) * 4, sum);
  }
}

/// The new token of one KV head: its four query heads to warps 0-3, and for the newest split key and value to warps 4 and 5.
__device__ __forceinline__ void take_new_token(const DecodeArgs& args, Block& s, const LayerArgs& layer, int head, bool is_newest, const uint8_t* exchange,
                                               int warp, int lane) {
  if (warp >= (is_newest ? 6 : 4)) return;
  const int row = warp < 4 ? (head * kGroup + warp) * kHeadDim : kQueryRows + (warp - 4) * kKvRows + head * kHeadDim;
  const uint8_t* from = exchange + kQkvAt + (row + lane) * 4;
  HeadVector gain = {};
  if (warp < 5) gain = load_head_gain(warp < 4 ? layer.q_gain : layer.k_gain, lane);
  uint32_t words[4];
  do {
#pragma unroll
    for (int i = 0; i < 4; i++) words[i] = look_word(from + 128 * i);
  } while (words[0] == kEmpty || words[1] == kEmpty || words[2] == kEmpty || words[3] == kEmpty);
  __syncwarp();
  HeadVector x = {__uint_as_float(words[0]), __uint_as_float(words[1]), __uint_as_float(words[2]), __uint_as_float(words[3])};
  if (warp < 5) {
    head_norm(x, gain, args.epsilon);
    head_rope(x, s.turns[lane]);
  }
  if (warp < 4) share_query(s.attention, warp, x, lane);
  else {
    uint8_t* page = layer.pool + ((size_t)__ldg(s.context.table + s.context.position / kPageTokens) * kKvHeads + head) * kPageBytes;
    if (s.context.slot < 0) page = nullptr;
    share_new(s.attention, warp == 4, x, page, s.context.position % kPageTokens, lane);
  }
}

/// One chain of one split.
__device__ __forceinline__ void attend_chain(Block& s, int split, bool has_new, int& n, int chain, int lane) {
  const int g = lane >> 2, t = lane & 3, end = s.context.end_page(split);
  float maximum = -1e30f, sum = 0, out[16][2];
  if (has_new) {
    asm volatile("bar.sync 2, 160;" ::: "memory");                             // with the four warps that score the new key
    maximum = s.attention.self_score[g & 3];
    sum = t == 0 ? 1.0f : 0.0f;
  }
  begin_values(s.attention, has_new, lane, out);
#pragma unroll 1
  for (int page = s.context.first_page(split) + chain; page < end; page += kChains) {
    const uint8_t* first = piece(s, chain, n);
    const uint8_t* second = piece(s, chain, n + 1);
    const uint8_t* keys = (g < 4 ? first : second - 32 * 128) + (16 * (g >> 1) + (g & 1)) * 128;
    const int valid = s.context.position - page * kPageTokens - 16 * t;
    const PageWeights weights = weigh_page(s.attention, keys, first + 4096, valid, lane, maximum, sum);
    release(s, chain, lane, n);
    release(s, chain, lane, n);
    add_values<0>(weights, piece(s, chain, n), lane, out);
    release(s, chain, lane, n);
    add_values<1>(weights, piece(s, chain, n), lane, out);
    release(s, chain, lane, n);
  }
  share_weights(s.attention, chain, maximum, sum, lane);
  share_values(s.attention, chain, out, lane);
}

/// Attention of the block's tasks: a KV head and a split each; a warp has a chain.
__device__ __forceinline__ void attend(const DecodeArgs& args, Block& s, const LayerArgs& layer, uint8_t* exchange, int& n, int warp, int lane) {
  const int splits = s.context.splits;
#pragma unroll 1
  for (int task = blockIdx.x; task < kKvHeads * splits; task += gridDim.x) {
    const int head = task % kKvHeads, split = task / kKvHeads;
    const bool is_newest = split == splits - 1;
    take_new_token(args, s, layer, head, is_newest, exchange, warp, lane);
    consumers_sync();
    if (is_newest && warp >= 4) {
      score_new(s.attention, warp - 4, lane);
      asm volatile("bar.arrive 2, 160;" ::: "memory");
    }
    attend_chain(s, split, is_newest && warp == 0, n, warp, lane);
    consumers_sync();
    float4 attended;
    if (warp < 4 && merge(s.attention, args.attention, head, split, splits, warp, lane, [] { asm volatile("bar.sync 3, 128;" ::: "memory"); }, attended)) {
      float2 scale;
      const uint32_t packed = quantise_group(attended, scale);
      const int index = (head * kGroup + warp) * kHeadDim + 4 * lane;
      tell_word(exchange + kAttendedAt + index, packed ^ kNever128);
      if ((lane & 7) == 0) {
        tell_float(exchange + kAttendedScalesAt + index / 4, scale.x);
        tell_float(exchange + kAttendedScalesAt + index / 4 + 4, scale.y);
      }
    }
    consumers_sync();
  }
}

/// Inputs of the output product: int8 values, then their scales.
__device__ __forceinline__ void take_attended(Block& s, const uint8_t* exchange, int thread) {
  constexpr int kBytes = kQueryRows + kQueryRows / 4;
#pragma unroll 1
  for (int at = thread * 16; at < kBytes; at += kConsumerThreads * 16) {
    uint4 v;
    do v = look(exchange + kAttendedAt + at);
    while (!is_full(v));
    if (at < kQueryRows) *reinterpret_cast<uint4*>(s.xq + at) = make_uint4(v.x ^ kNever128, v.y ^ kNever128, v.z ^ kNever128, v.w ^ kNever128);
    else *reinterpret_cast<uint4*>(reinterpret_cast<uint8_t*>(s.xs) + at - kQueryRows) = v;
  }
  __syncwarp();
}
/// Inputs of down: h, quantised. Eight values a thread, four lanes a group; whole warps.
__device__ __forceinline__ void take_h(Block& s, const uint8_t* exchange, int thread) {
  constexpr int kRounds = (kFeedForward / 8 + kConsumerThreads - 1) / kConsumerThreads;
  uint4 raw[kRounds];
  bool all;
  do {
    all = true;
#pragma unroll
    for (int r = 0; r < kRounds; r++) {
      const int i = (r * kConsumerThreads + thread) * 8;
      if (i < kFeedForward) raw[r] = look(exchange + kHAt + i * 2);
    }
#pragma unroll
    for (int r = 0; r < kRounds; r++) all = all && ((r * kConsumerThreads + thread) * 8 >= kFeedForward || is_full(raw[r]));
  } while (!all);
  __syncwarp();
#pragma unroll
  for (int r = 0; r < kRounds; r++) {
    const int i = (r * kConsumerThreads + thread) * 8;
    if (i < kFeedForward) {
      const float v[8] = {low_half(raw[r].x), high_half(raw[r].x), low_half(raw[r].y), high_half(raw[r].y),
                          low_half(raw[r].z), high_half(raw[r].z), low_half(raw[r].w), high_half(raw[r].w)};
      float2 scale;
      const uint2 packed = quantise_group8(v, scale);
      Q8Target{s.xq, s.xs, 1, 0}.store(i, packed, scale);
    }
  }
}
/// Inputs of q, k, v and of gate and up: the residual stream plus the product before (`planes`, or null), normalised and quantised as
/// norm_quantise does it: what thread i has there, thread i % 256 has here in round i / 256.
__device__ __forceinline__ void take_residual(Block& s, const uint8_t* planes, int split_kind, const float* gains, float* x_out, float epsilon, int thread) {
  constexpr int kRounds = (kHidden / 8 + kConsumerThreads - 1) / kConsumerThreads;
  float gain[kRounds][8], x[kRounds][8];
#pragma unroll
  for (int r = 0; r < kRounds; r++)
    if (r * kConsumerThreads + thread < kHidden / 8) load_gain(gain[r], gains + (r * kConsumerThreads + thread) * 8);
#pragma unroll
  for (int r = 0; r < kRounds; r++) {
    const int first = (r * kConsumerThreads + thread) * 8;
    if (first >= kHidden) break;                                               // whole warps
#pragma unroll
    for (int k = 0; k < 8; k++) x[r][k] = 0;
    if (planes) {
      const bool has_second = s.has_second_plane[split_kind][first >> 4];
      uint4 v[4];
      v[2] = v[3] = make_uint4(0, 0, 0, 0);
      do {
        v[0] = look(planes + first * 4);
        v[1] = look(planes + first * 4 + 16);
        if (has_second) {
          v[2] = look(planes + (kHidden + first) * 4);
          v[3] = look(planes + (kHidden + first) * 4 + 16);
        }
      } while (!(is_full(v[0]) && is_full(v[1]) && is_full(v[2]) && is_full(v[3])));
      add_words(x[r], v[0]);
      add_words(x[r] + 4, v[1]);
      add_words(x[r], v[2]);
      add_words(x[r] + 4, v[3]);
      __syncwarp();
    }
    float4* kept = reinterpret_cast<float4*>(s.residual + first);
    const float4 low = kept[0], high = kept[1];
    x[r][0] += low.x; x[r][1] += low.y; x[r][2] += low.z; x[r][3] += low.w;
    x[r][4] += high.x; x[r][5] += high.y; x[r][6] += high.z; x[r][7] += high.w;
    kept[0] = make_float4(x[r][0], x[r][1], x[r][2], x[r][3]);
    kept[1] = make_float4(x[r][4], x[r][5], x[r][6], x[r][7]);
    if (x_out) {
      *reinterpret_cast<float4*>(x_out + first) = kept[0];
      *reinterpret_cast<float4*>(x_out + first + 4) = kept[1];
    }
    const float squares = warp_sum(sum_of_squares(x[r]));
    if ((thread & 31) == 0) s.scratch[first / 256] = squares;
  }
  consumers_sync();
  const float factor = norm_factor(s.scratch, thread & 31, epsilon);
#pragma unroll
  for (int r = 0; r < kRounds; r++) {
    const int first = (r * kConsumerThreads + thread) * 8;
    if (first >= kHidden) break;
    normalise_quantise(x[r], gain[r], factor, Q8Target{s.xq, s.xs, 1, 0}, first);
  }
}

/// Fills what the block shares.
__device__ __forceinline__ void prepare(const DecodeArgs& args, Block& s, int warp, int lane) {
  const uint64_t* from = reinterpret_cast<const uint64_t*>(args.layers);
  uint64_t* to = reinterpret_cast<uint64_t*>(s.layers);
  for (int i = threadIdx.x; i < args.layer_count * (int)(sizeof(LayerArgs) / 8); i += kPersistentBlock) to[i] = __ldg(from + i);
  const int4* tables[6] = {args.qkv_v4, args.qkv_v6, args.output, args.gate_up, args.down_q4, args.down_q6};
#pragma unroll
  for (int i = 0; i < 6; i++)
    if (threadIdx.x == i)
      s.shares[i] = share_of(__ldg(tables[i] + blockIdx.x), (i >= 4 ? kFeedForward / 256 : i == 2 ? kQueryRows / 256 : kHidden / 256) / kSegmentUnits);
  const uint8_t* splits[3] = {args.output_splits, args.down_q4_splits, args.down_q6_splits};
  for (int i = threadIdx.x; i < kHidden / 16; i += kPersistentBlock)
#pragma unroll
    for (int k = 0; k < 3; k++) s.has_second_plane[k][i] = __ldg(splits[k] + i) < (k == 0 ? kQueryRows : kFeedForward) / 256 / kSegmentUnits;
  if (threadIdx.x < kConsumers * kSlots) {
    barrier_init(&s.full[0][0] + threadIdx.x);
    barrier_init(&s.empty[0][0] + threadIdx.x);
    barrier_init_done();
  }
  if (threadIdx.x < kBlock / 32) s.scratch[threadIdx.x] = 0;         // of a norm_quantise with more warps than the row needs
  if (warp == 1) {
    const Context context(args.attention, args.attention.batch_slot[0]);
    s.turns[lane] = head_turn(context.position, args.attention.turns, lane);
    if (lane == 0) s.context = context;
  }
  __syncthreads();
}

extern "C" __global__ void __launch_bounds__(kPersistentBlock, 1) decode_layers(const DecodeArgs args) {
  extern __shared__ __align__(128) uint8_t shared[];
  Block& s = *reinterpret_cast<Block*>(shared);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  prepare(args, s, warp, lane);
  if (warp == kConsumers) {
    if (lane < kConsumers) produce(args, s, lane);
    return;
  }

  pdl_wait();
  const unsigned step_number = *reinterpret_cast<volatile unsigned*>(args.steps);
  // Eight values a thread, as take_residual has them.
  for (int first = threadIdx.x * 8; first < kHidden; first += kConsumerThreads * 8) {
    float4* kept = reinterpret_cast<float4*>(s.residual + first);
    kept[0] = __ldcg(reinterpret_cast<const float4*>(args.x + first));
    kept[1] = __ldcg(reinterpret_cast<const float4*>(args.x + first + 4));
  }
  int n = 0;                                                       // pieces this warp has had

#pragma unroll 1
  for (int index = 0; index < args.layer_count; index++) {
    const LayerArgs& layer = s.layers[index];
    const unsigned types = (unsigned)layer.types;
    const bool is_last = index + 1 == args.layer_count;
    // This layer's places: in use, and those of the next step.
    uint8_t* exchange = args.exchange + (size_t)((step_number & 1) * args.layer_count + index) * kExchangeBytes;
#pragma unroll 1
    for (int step = 0; step < kStepsOfLayer; step++) {
      // Asked for anew, so that the compiler does not work out addresses of all steps beforehand and keep them in local memory.
      int thread;
      asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
      const int lane = thread & 31, warp = thread >> 5;
      MARK(0);
      if (step == kQkvStep) {
        const uint8_t* planes = index > 0 ? exchange - kExchangeBytes + kDownAt : nullptr;
        take_residual(s, planes, index > 0 ? 1 + (s.layers[index - 1].types >> 1 & 1) : 0, layer.attention_gain, nullptr, args.epsilon, thread);
      } else if (step == kOutputStep) {
        if ((int)blockIdx.x < kKvHeads * s.context.splits) attend(args, s, layer, exchange, n, warp, lane);
        MARK(1);
        take_attended(s, exchange, thread);
      } else if (step == kGateUpStep) {
        take_residual(s, exchange + kOutputAt, 0, layer.feed_forward_gain, is_last && blockIdx.x == 0 ? args.x : nullptr, args.epsilon, thread);
      } else {
        take_h(s, exchange, thread);
      }
      consumers_sync();
      MARK(2);
      const Share& share = s.shares[kind_of(step, types)];
      multiply(s, share, step == kDownStep && (types & 2), types & 1, n, warp, lane);
      consumers_sync();
      MARK(3);
      const int at = step == kQkvStep ? kQkvAt : step == kOutputStep ? kOutputAt : step == kGateUpStep ? kHAt : kDownAt;
      finish(s, share, is_last && step == kDownStep ? reinterpret_cast<uint8_t*>(args.down_planes) : exchange + at, kHidden, step == kGateUpStep, thread);
      MARK(4);
      if (step == kQkvStep) {
        // Empties the next step's places of this layer: everyone has read them a step ago.
        uint8_t* next = args.exchange + (size_t)((~step_number & 1) * args.layer_count + index) * kExchangeBytes;
        for (int i = thread * gridDim.x + blockIdx.x; i < kExchangeBytes / 16; i += kConsumerThreads * gridDim.x)
          *reinterpret_cast<uint4*>(next + (size_t)i * 16) = make_uint4(kEmpty, kEmpty, kEmpty, kEmpty);
      }
    }
  }
  pdl_launch();
  if (blockIdx.x == 0 && threadIdx.x == 0) *args.steps = step_number + 1;  // everyone has read it: without them there were no last layer
}
#endif
