// decode_layers: all layers of one decode step and the head in one kernel, for one sequence on Hopper. Two things make it fast.
//
// Weights never stop: a producer warp walks through everything the block will read in this step, layer after layer (its units of each matrix, and
// the KV pages it attends to), and asks for the next piece as soon as one of the consumer warps frees a slot. What is computed does not
// depend on when a weight arrives, so the bus works while the blocks wait for one another.
//
// Results are their own flags: between two products every block needs what all the others computed. Instead of a barrier (write, fence, count,
// watch the counter, read: four trips to level 2) results go to places that hold kEmpty, a NaN that no computation gives, and a reader
// asks until none is left: one trip. Each place is used once a step; while a step uses one set of places, it empties the other for the
// next step. (NCCL's LL protocol flags each word for the same reason.) What the splits of a long context tell the block that merges them is tagged instead.
//
// The head is of one piece with the layers because its weights, an eighth of all, then arrive while the last layer ends; a kernel of its own would begin
// with nothing, and wait for its inputs besides. So is the embedding, so that the first weights arrive while the step before still chooses its token.
//
// The arithmetic is that of gemv_w4a8 and attention_decode, bit for bit.
#include "decode_block.cuh"
#include "exchange.cuh"

#if HOPPER || !defined(__CUDA_ARCH__)

struct DecodeArgs {
  AttentionArgs attention;           // pool, gains, planes and q8 are the layer's or not used
  const LayerArgs* layers;           // and one more, whose first product is the head
  const int4* qkv_v4;                // work ranges, as in gemv_w4a8; those of q, k, v and of gate and up are whole tiles
  const int4* qkv_v6;
  const int4* output;
  const int4* gate_up;
  const int4* down_q4;
  const int4* down_q6;
  const uint8_t* output_splits;      // per row tile, the segment where its second plane begins
  const uint8_t* down_q4_splits;
  const uint8_t* down_q6_splits;
  const int* slot_token;             // the last token of each slot: what the step begins with
  float* logits;                     // [vocabulary]
  uint8_t* exchange;                 // [2][layers][kExchangeBytes], kEmpty at the very start
  uint8_t* told;                     // [kv head][split][kToldBytes] of splits that another block merges, zeros at the very start
  unsigned int* steps;               // how many steps there were: which half of the exchange is in use
  long long* trace;                  // [products][8 marks][blocks] clocks, for the bench; usually null
  int layer_count;
  int first_loose;                   // row tile of gate and up from which on rows are dealt by twos, or the number of tiles
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

/// The head's row tiles, of Q6, are dealt whole, to blocks and to their warps.
constexpr int kHeadUnits = kHidden / 256;
__device__ __forceinline__ int first_head_tile(int block) { return block * (kVocabulary / 16) / (int)gridDim.x; }

/// Where a lane of the producer is in what its consumer warp will read: the steps of a layer with attention's pages between the first two.
struct Walk {
  enum Phase { kQkv, kPages, kOutput, kGateUp, kDown, kPhases };
  int layer, phase, at, part, parts; // at: segment of the share, page of the context (negative: the task's first is to be found), or tile of the head
  int task, entry;                   // entry: of the page table, asked for a page ahead
  const uint8_t* page;
  const uint8_t* from;
  const uint8_t* more;               // 256 bytes of scales that come with a page's first keys, or null
  int bytes;
};
/// Finds the piece at the walk's place, going over what is empty; false at the end, or at the first pages while nobody knows the context.
__device__ __forceinline__ bool find(const DecodeArgs& args, const Block& s, int warp, bool knows_context, Walk& w) {
#pragma unroll 1
  while (w.layer < args.layer_count) {
    const LayerArgs& layer = s.layers[w.layer];
    const unsigned types = (unsigned)layer.types;
    if (w.phase == Walk::kPages) {
      if (!knows_context) return false;
      if (w.task < kKvHeads * s.context.splits) {
        const int head = w.task % kKvHeads, split = w.task / kKvHeads;
        const int end = s.context.end_page(split);
        if (w.at < 0) {
          w.at = warp < kChains ? s.context.first_page(split) + warp : end;
          if (w.at < end) w.entry = __ldg(s.context.table + w.at);
        }
        if (w.at < end) {
          if (w.part == 0) {
            w.page = layer.pool + ((size_t)w.entry * kKvHeads + head) * kPageBytes;
            w.entry = __ldg(s.context.table + min(w.at + kChains, end - 1));
          }
          w.from = w.page + 4096 * w.part;                                     // keys and all scales, keys, values, values
          w.bytes = 4096;
          w.parts = 4;
          w.more = w.part == 0 ? w.page + 16384 : nullptr;
          return true;
        }
        w.task += gridDim.x;
        w.at = -1;
        continue;
      }
    } else {
      const int step = w.phase == Walk::kQkv ? kQkvStep : w.phase - 1;
      const Share& share = s.shares[kind_of(step, types)];
      if (w.at < share.count) {
        const uint8_t* a = step == kQkvStep ? layer.qkv : step == kOutputStep ? layer.output : step == kGateUpStep ? layer.gate_up : layer.down;
        const bool in_a = w.at < share.count_a, q6 = in_a ? step == kDownStep && (types & 2) : types & 1;
        const int segment = in_a ? share.from_a + w.at : share.from_b + w.at - share.count_a;
        w.from = (in_a ? a : layer.value) + (size_t)segment * (q6 ? kSegmentBytes<kQ6> : kSegmentBytes<kQ4>) + w.part * kUnitBytes<kQ6>;
        w.bytes = q6 ? kUnitBytes<kQ6> : kSegmentBytes<kQ4>;
        w.parts = q6 ? 2 : 1;
        w.more = nullptr;
        return true;
      }
    }
    if (++w.phase == Walk::kPhases) {
      w.phase = Walk::kQkv;
      w.layer++;
    }
    w.at = w.phase == Walk::kPages ? -1 : warp;
    w.task = blockIdx.x;
  }
  const int tile = first_head_tile(blockIdx.x) + w.at;
  w.from = s.layers[args.layer_count].qkv + ((size_t)tile * kHeadUnits + w.part) * kUnitBytes<kQ6>;
  w.bytes = kUnitBytes<kQ6>;
  w.parts = kHeadUnits;
  w.more = nullptr;
  return tile < first_head_tile(blockIdx.x + 1);
}
/// Goes on behind the piece that find() gave.
__device__ __forceinline__ void advance(Walk& w) {
  if (++w.part < w.parts) return;
  w.part = 0;
  w.at += w.phase == Walk::kPages ? kChains : kConsumers;
}

/// The producer warp: lane w fetches what consumer warp w will read, in order. All lanes turn together; nobody sleeps on one warp's slot while
/// another's is free.
__device__ __forceinline__ void produce(const DecodeArgs& args, Block& s, int lane) {
  const int warp = lane % kConsumers;
  Walk w = {0, Walk::kQkv, warp, 0, 0, (int)blockIdx.x, 0, nullptr, nullptr, nullptr, 0};
  bool knows_context = false, has_more = lane < kConsumers && find(args, s, warp, knows_context, w);
  int asked = 0;                                                    // this lane's pieces
  while (true) {
    const bool is_free = has_more && (asked < kSlots || barrier_test(&s.empty[warp][asked % kSlots], (asked / kSlots - 1) & 1));
    if (is_free) {
      uint64_t* full = &s.full[warp][asked % kSlots];
      uint8_t* to = s.slots[warp][asked % kSlots].bytes;
      barrier_expect(full, w.bytes + (w.more ? 256 : 0));
      bulk_copy_announced(to, w.from, w.bytes, full);
      if (w.more) bulk_copy_announced(to + w.bytes, w.more, 256, full);
      asked++;
      advance(w);
      has_more = find(args, s, warp, knows_context, w);
    }
    if (__any_sync(~0u, is_free)) continue;
    if (!knows_context) {                                           // all that can be had before the step before has ended
      pdl_wait();
      __syncthreads();
      knows_context = true;
      has_more = lane < kConsumers && find(args, s, warp, knows_context, w);
    } else if (!__any_sync(~0u, has_more)) {
      return;
    } else {
      __nanosleep(20);                                              // two consumers need this scheduler
    }
  }
}

/// Four threads have a row's parts each.
__device__ __forceinline__ float2 sum_of_four(float2 sums) {
#pragma unroll
  for (int o = 1; o <= 2; o <<= 1) {
    sums.x += __shfl_xor_sync(~0u, sums.x, o);
    sums.y += __shfl_xor_sync(~0u, sums.y, o);
  }
  return sums;
}
/// Leaves a segment's 16 sums in the results.
__device__ __forceinline__ void keep(Block& s, int segment, float2 parts, int lane) {
  const float2 sums = sum_of_four(parts);
  if ((lane & 3) == 0) {
    s.results()[segment * 16 + (lane >> 2)] = sums.x;
    s.results()[segment * 16 + (lane >> 2) + 8] = sums.y;
  }
}
/// A consumer warp's segments of a product, two of Q4 at a time: it is latency that a product costs.
__device__ __forceinline__ void multiply(Block& s, const Share& share, const Columns& columns, bool a_is_q6, bool b_is_q6, unsigned& n, int warp, int lane) {
  const int count = share.count, count_a = share.count_a, segments = share.segments, forth = share.forth;
  int at = share.start + warp;
  while (at >= segments) at -= segments;
  auto next = [&](int from) { return from + forth >= segments ? from + forth - segments : from + forth; };
  auto is_q6 = [&](int i) { return i < count_a ? a_is_q6 : b_is_q6; };
  static_assert(kSegmentUnits == 2, "two units");
  auto inputs = [&](const uint8_t* unit, int place, int u) {
    return UnitInputs{unit, s.xq + (place * kSegmentUnits + u) * 256, s.xs + (place * kSegmentUnits + u) * 8};
  };
#pragma unroll 1
  for (int i = warp; i < count; i += kConsumers, at = next(at)) {
    if (is_q6(i)) {
      float2 sums[1] = {};
      units_q6<2>({inputs(piece(s, warp, n), at, 0), inputs(piece(s, warp, n + 1), at, 1)}, columns, lane, sums);
      release(s, warp, lane, n);
      release(s, warp, lane, n);
      keep(s, i, sums[0], lane);
    } else if (i + kConsumers < count && !is_q6(i + kConsumers)) {
      const uint8_t *data = piece(s, warp, n), *other = piece(s, warp, n + 1);
      const int other_at = next(at);
      float2 sums[2] = {};
      units_q4<4>({inputs(data, at, 0), inputs(data + kUnitBytes<kQ4>, at, 1), inputs(other, other_at, 0), inputs(other + kUnitBytes<kQ4>, other_at, 1)},
                  columns, lane, sums);
      release(s, warp, lane, n);
      release(s, warp, lane, n);
      keep(s, i, sums[0], lane);
      i += kConsumers;
      at = other_at;
      keep(s, i, sums[1], lane);
    } else {
      const uint8_t* data = piece(s, warp, n);
      float2 sums[1] = {};
      units_q4<2>({inputs(data, at, 0), inputs(data + kUnitBytes<kQ4>, at, 1)}, columns, lane, sums);
      release(s, warp, lane, n);
      keep(s, i, sums[0], lane);
    }
  }
}

// Whole tiles of gate and up do not come out even: on 132 multiprocessors 28 blocks would have ten instead of nine, and all others would wait for them. The
// tiles that are over are cut into rows, two of h a block. Their weights do not come by the producer, as they are in small pieces: all threads ask for
// 16 bytes now and then, long before they are needed.

/// Asks for the weights of the block's loose rows.
__device__ __forceinline__ void ask_for_loose(Block& s, const uint8_t* weights, int loose, int thread) {
  constexpr int kUnits = kHidden / 256, kChunks = kLooseUnitBytes / 16;
  const uint8_t* tile = weights + (size_t)(loose >> 3) * kUnits * kUnitBytes<kQ4>;
#pragma unroll 1
  for (int i = thread; i < kUnits * kChunks; i += kConsumerThreads)
    copy16_async(s.loose_units() + i * 16, tile + i / kChunks * kUnitBytes<kQ4> + loose_chunk(i % kChunks, loose & 7));
  copy_commit();
}
/// The last two warps, which have the fewest segments, multiply them: a row and its partner each, a segment four lanes.
__device__ __forceinline__ void multiply_loose(Block& s, const Share& share, uint32_t exponent, int which, int lane) {
  static_assert(kHidden / 512 <= 8, "a warp has lanes for all segments");
  const int segment = lane >> 2, t = lane & 3;
  float2 sums = {};
  if (segment < share.segments)
    sums = loose_rows(s.loose_units() + segment * kSegmentUnits * kLooseUnitBytes, which, s.xq + segment * kSegmentUnits * 256,
                      s.xs + segment * kSegmentUnits * 8, t, exponent);
  sums = sum_of_four(sums);
  if (t == 0 && segment < share.segments) {
    float* to = s.results() + (share.count + segment) * 16 + which;
    to[0] = sums.x;
    to[8] = sums.y;
  }
}

/// A consumer warp's tiles of the head: it has all of a row, so it adds the segments up itself.
__device__ __forceinline__ void multiply_head(const DecodeArgs& args, Block& s, const Columns& columns, unsigned& n, int warp, int lane) {
  const int first = first_head_tile(blockIdx.x) + warp, end = first_head_tile(blockIdx.x + 1);
#pragma unroll 1
  for (int tile = first; tile < end; tile += kConsumers) {
    float2 rows = {};
#pragma unroll 1
    for (int u = 0; u < kHeadUnits; u += 2) {
      float2 sums[1] = {};
      units_q6<2>({{piece(s, warp, n), s.xq + u * 256, s.xs + u * 8}, {piece(s, warp, n + 1), s.xq + (u + 1) * 256, s.xs + (u + 1) * 8}}, columns, lane, sums);
      release(s, warp, lane, n);
      release(s, warp, lane, n);
      const float2 segment = sum_of_four(sums[0]);
      rows.x += segment.x;
      rows.y += segment.y;
    }
    if ((lane & 3) == 0) {
      args.logits[tile * 16 + (lane >> 2)] = rows.x;
      args.logits[tile * 16 + (lane >> 2) + 8] = rows.y;
    }
  }
}

/// A row of the block that a thread adds up: of `count` segments from `first` on, to a place that the others will read.
struct Row {
  int first, count, at;              // at: of the row among the 16 of a segment
  uint8_t* to;
};
/// Row i of the block's. `out`: two planes of kHidden rows (the second for the rest of a tile that another block began), or h, which takes SiLU of pairs:
/// lanes 2r and 2r + 1 of a tile of gate and up take rows r and r + 8, so that a pair are neighbours. Loose rows are the beginning of one more tile.
__device__ __forceinline__ Row row_of(const Share& share, uint8_t* out, bool is_silu, int i) {
  const int index = i >> 4, from = index * share.segments - share.start;
  const int tile = index + (index < share.tiles_a ? share.tile_a : share.tile_b);
  Row row;
  row.first = max(from, 0);
  row.count = min(from + share.segments, index < share.tiles ? share.count : from + share.segments) - row.first;
  row.at = is_silu ? ((i & 15) >> 1) + (i & 1) * 8 : i & 15;
  row.to = out + (is_silu ? (index < share.tiles ? tile * 8 : share.loose) * 2 + row.at * 2 : ((from < 0 ? kHidden : 0) + tile * 16 + row.at) * 4);
  return row;
}
__device__ __forceinline__ void add_up(Block& s, const Row& row, bool is_silu, int lane) {
  const float* parts = s.results() + row.first * 16 + row.at;
  float sum = 0;
#pragma unroll 1
  for (int k = 0; k < row.count; k += 8) {                                       // eight are asked for together
    float v[8];
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] = k + j < row.count ? parts[(k + j) * 16] : 0.0f;
#pragma unroll
    for (int j = 0; j < 8; j++) sum += v[j];
  }
  if (is_silu) {
    const unsigned others = __activemask();                                    // whole half-warps
    const float up = __shfl_xor_sync(others, sum, 1);
    const uint32_t h = half_bits(fminf(fmaxf(silu(sum) * up, -65504.0f), 65504.0f)), next = __shfl_xor_sync(others, h, 2);
    if ((lane & 3) == 0) tell_word(row.to, h | next << 16);
  } else tell_float(row.to, sum);
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
  } while (__any_sync(~0u, words[0] == kEmpty || words[1] == kEmpty || words[2] == kEmpty || words[3] == kEmpty));
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
__device__ __forceinline__ void attend_chain(Block& s, int split, bool has_new, unsigned& n, int chain, int lane) {
  const int g = lane >> 2, t = lane & 3, end = s.context.end_page(split);
  float maximum = -1e30f, sum = has_new && t == 0 ? 1.0f : 0.0f, out[16][2];
  bool is_scored = !has_new;
  auto take_new_score = [&] {                                                  // while four warps score the new key, the first page's scores are worked out
    if (is_scored) return;
    asm volatile("bar.sync 2, 160;" ::: "memory");
    maximum = s.attention.self_score[g & 3];
    is_scored = true;
  };
  begin_values(s.attention, has_new, lane, out);
#pragma unroll 1
  for (int page = s.context.first_page(split) + chain; page < end; page += kChains) {
    const uint8_t* first = piece(s, chain, n);
    const uint8_t* second = piece(s, chain, n + 1);
    const uint8_t* keys = (g < 4 ? first : second - 32 * 128) + (16 * (g >> 1) + (g & 1)) * 128;
    const int valid = s.context.position - page * kPageTokens - 16 * t;
    const PageWeights weights = weigh_page(s.attention, keys, first + 4096, valid, lane, maximum, sum, take_new_score);
    release(s, chain, lane, n);
    release(s, chain, lane, n);
    add_values<0>(weights, piece(s, chain, n), lane, out);
    release(s, chain, lane, n);
    add_values<1>(weights, piece(s, chain, n), lane, out);
    release(s, chain, lane, n);
  }
  take_new_score();
  share_weights(s.attention, chain, maximum, sum, lane);
  share_values(s.attention, chain, out, lane);
}

// A head's newest split merges the others: their blocks tell it what they have, tagged with step and layer. A layer's places are used again in the next one,
// which nobody begins before all heads are merged. A block with several tasks waits only for earlier ones than it is at, so somebody always goes on.
constexpr int kToldBytes = 4 * 8 * kHeadDim + 4 * 16;                          // values of four heads, then their maxima and sums

/// What merge() does, in one trip to level 2; warp w of four has query head w, and the newest split tells what was attended to. A call of its own, or its
/// registers would be missing elsewhere.
__device__ __noinline__ void finish_heads(uint8_t* told_by_head, uint8_t* exchange, int head, int split, uint32_t tag) {
  Block& s = shared_block();
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  constexpr int kAtOnce = 4;
  HeadSums sums = merge_chains(s.attention, warp, lane);
  const int others = s.context.splits - 1;
  uint8_t* told = told_by_head + (size_t)head * kMaxSplits * kToldBytes;
  const int values_at = (warp * kHeadDim + 4 * lane) * 8, sums_at = 4 * 8 * kHeadDim + warp * 16;
  if (split < others) {
    uint8_t* to = told + split * kToldBytes;
    tell_tagged(to + values_at, sums.o.x, sums.o.y, tag);
    tell_tagged(to + values_at + 16, sums.o.z, sums.o.w, tag);
    if (lane == 0) tell_tagged(to + sums_at, sums.top, sums.total, tag);
    return;
  }
  if (others > 0) {
    const float4 newest = sums.o;
    float4 v[kAtOnce];
    auto look_at = [&](int first) {                                            // splits from `first` on; whether they are there
      bool all = true;
#pragma unroll
      for (int i = 0; i < kAtOnce; i++) {
        const uint8_t* from = told + min(first + i, others - 1) * kToldBytes + values_at;
        const Tagged low = look_tagged(from, tag), high = look_tagged(from + 16, tag);
        v[i] = make_float4(low.a, low.b, high.a, high.b);
        all = all && low.is_there && high.is_there;
      }
      return all;
    };
    Tagged mine;                                                               // lane l looks at split l; the newest is its own
    bool all;
    do {
      mine = look_tagged(told + min(lane, others - 1) * kToldBytes + sums_at, tag);
      all = look_at(0) && mine.is_there;
    } while (!__all_sync(~0u, all));
    const float my_max = lane < others ? mine.a : lane == others ? sums.top : -1e30f, my_sum = lane < others ? mine.b : lane == others ? sums.total : 0.0f;
    const float my_factor = exp2_fast(my_max - warp_max(my_max));
    sums.total = warp_sum(my_sum * my_factor);
    sums.o = make_float4(0, 0, 0, 0);
#pragma unroll 1
    for (int first = 0; first < others; first += kAtOnce) {
      if (first > 0)
        while (!__all_sync(~0u, look_at(first))) {}
#pragma unroll
      for (int i = 0; i < kAtOnce; i++) {
        const float f = __shfl_sync(~0u, my_factor, min(first + i, others - 1));
        if (first + i < others) sums.add(v[i], f);
      }
    }
    sums.add(newest, __shfl_sync(~0u, my_factor, others));
  }
  float2 scale;
  const uint32_t packed = quantise_group(sums.attended(), scale);
  const int index = (head * kGroup + warp) * kHeadDim + 4 * lane;
  tell_word(exchange + kAttendedAt + index, packed ^ kNever128);
  if ((lane & 7) == 0) {
    tell_float(exchange + kAttendedScalesAt + index / 4, scale.x);
    tell_float(exchange + kAttendedScalesAt + index / 4 + 4, scale.y);
  }
}

/// Attention of the block's tasks: a KV head and a split each; a warp has a chain.
__device__ __forceinline__ void attend(const DecodeArgs& args, Block& s, const LayerArgs& layer, uint8_t* exchange, uint32_t tag, unsigned& n, int warp,
                                       int lane) {
  const int splits = s.context.splits;
#pragma unroll 1
  for (int task = blockIdx.x; task < kKvHeads * splits; task += gridDim.x) {
    const int head = task % kKvHeads, split = task / kKvHeads;
    const bool is_newest = split == splits - 1;
    take_new_token(args, s, layer, head, is_newest, exchange, warp, lane);
    consumers_sync();
    if (is_newest && warp >= 4 && warp < kChains) {
      score_new(s.attention, warp - 4, lane);
      asm volatile("bar.arrive 2, 160;" ::: "memory");
    }
    if (warp < kChains) attend_chain(s, split, is_newest && warp == 0, n, warp, lane);
    consumers_sync();
    if (warp < 4) finish_heads(args.told, exchange, head, split, tag);
    consumers_sync();
  }
}

/// Inputs of the output product: int8 values, then their scales.
__device__ __forceinline__ void take_attended(Block& s, const uint8_t* exchange, int thread) {
  constexpr int kBytes = kQueryRows + kQueryRows / 4, kRounds = (kBytes / 16 + kConsumerThreads - 1) / kConsumerThreads;
  uint4 v[kRounds];
  bool all = false;
  do {
    if (!all) {
#pragma unroll
      for (int r = 0; r < kRounds; r++) {
        const int at = (r * kConsumerThreads + thread) * 16;
        v[r] = look(exchange + kAttendedAt + (at < kBytes ? at : 0));
      }
    }
    all = true;
#pragma unroll
    for (int r = 0; r < kRounds; r++) all = all && is_full(v[r]);
  } while (!__all_sync(~0u, all));
#pragma unroll
  for (int r = 0; r < kRounds; r++) {
    const int at = (r * kConsumerThreads + thread) * 16;
    if (at < kQueryRows) *reinterpret_cast<uint4*>(s.xq + at) = make_uint4(v[r].x ^ kNever128, v[r].y ^ kNever128, v[r].z ^ kNever128, v[r].w ^ kNever128);
    else if (at < kBytes) *reinterpret_cast<uint4*>(reinterpret_cast<uint8_t*>(s.xs) + at - kQueryRows) = v[r];
  }
}

// A row of inputs is taken in rounds of eight values a thread, all rounds together: each step of one (a load, a sum over lanes) hides the others'
// latency. A branch would take them apart, so there is none: a thread that has nothing in the last round goes along with the row's beginning, the same
// 16 bytes for all such threads, and keeps nothing of it. A warp asks together until all its values are there; lanes that have theirs are quiet. What is
// empty is a NaN and makes one of whatever is computed from it, so the first that is looked at is a sum that is needed anyway.

/// Whether a thread has values in round r.
template <int ROW> __device__ __forceinline__ bool has_values(int r, int thread) {
  return (r + 1) * kConsumerThreads * 8 <= ROW || (r * kConsumerThreads + thread) * 8 < ROW;
}
template <int ROW> constexpr int kRowRounds = (ROW / 8 + kConsumerThreads - 1) / kConsumerThreads;
__device__ __forceinline__ void load_eight(float (&v)[8], const float* from) {
  const float4 low = *reinterpret_cast<const float4*>(from), high = *reinterpret_cast<const float4*>(from + 4);
  v[0] = low.x; v[1] = low.y; v[2] = low.z; v[3] = low.w;
  v[4] = high.x; v[5] = high.y; v[6] = high.z; v[7] = high.w;
}
__device__ __forceinline__ void store_eight(float* to, const float (&v)[8]) {
  *reinterpret_cast<float4*>(to) = make_float4(v[0], v[1], v[2], v[3]);
  *reinterpret_cast<float4*>(to + 4) = make_float4(v[4], v[5], v[6], v[7]);
}

__device__ __forceinline__ __half2 sum_of_halves(const uint4& v) {
  const __half2* halves = reinterpret_cast<const __half2*>(&v);
  return __hadd2(__hadd2(halves[0], halves[1]), __hadd2(halves[2], halves[3]));
}
/// Inputs of down: h, quantised.
__device__ __forceinline__ void take_h(Block& s, const uint8_t* exchange, int thread) {
  constexpr int kRounds = kRowRounds<kFeedForward>;
  uint4 raw[kRounds];
  bool all = false;
  do {
    if (!all) {
#pragma unroll
      for (int r = 0; r < kRounds; r++) raw[r] = look(exchange + kHAt + (has_values<kFeedForward>(r, thread) ? (r * kConsumerThreads + thread) * 16 : 0));
    }
    __half2 sum = sum_of_halves(raw[0]);
#pragma unroll
    for (int r = 1; r < kRounds; r++) sum = __hadd2(sum, sum_of_halves(raw[r]));
    const bool is_number = __hbeq2(sum, sum);
    if (__all_sync(~0u, is_number)) break;
    all = true;
#pragma unroll
    for (int r = 0; r < kRounds; r++) all = all && is_full(raw[r]);
  } while (!__all_sync(~0u, all));
  float v[kRounds][8];
  uint2 packed[kRounds];
  float2 scales[kRounds];
#pragma unroll
  for (int r = 0; r < kRounds; r++) eight_halves(raw[r], v[r]);
  quantise_groups8(v, packed, scales);
#pragma unroll
  for (int r = 0; r < kRounds; r++)
    if (has_values<kFeedForward>(r, thread)) Q8Target{s.xq, s.xs, 1, 0}.store((r * kConsumerThreads + thread) * 8, packed[r], scales[r]);
}

/// Inputs of q, k, v, of gate and up and of the head: the residual stream plus the product before (`planes`, or null), normalised and quantised as
/// norm_quantise does it: what thread i has there, thread i % 256 has here in round i / 256.
__device__ __forceinline__ void take_residual(const DecodeArgs& args, Block& s, const uint8_t* planes, int split_kind, const float* gains, int thread) {
  constexpr int kRounds = kRowRounds<kHidden>;
  float gain[kRounds][8], before[kRounds][8], x[kRounds][8], squares[kRounds];
  uint4 v[kRounds][4];
  bool is_split[kRounds];
  int first[kRounds];
#pragma unroll
  for (int r = 0; r < kRounds; r++) {
    first[r] = has_values<kHidden>(r, thread) ? (r * kConsumerThreads + thread) * 8 : 0;
    load_gain(gain[r], gains + first[r]);
#pragma unroll
    for (int k = 0; k < 8; k++) before[r][k] = 0;
    if (has_values<kHidden>(r, thread)) load_eight(before[r], s.residual + first[r]);
    is_split[r] = s.has_second_plane[split_kind][first[r] >> 4];
#pragma unroll
    for (int k = 0; k < 4; k++) v[r][k] = make_uint4(0, 0, 0, 0);
  }
  bool all = false;
  do {
    if (planes && !all) {                                                      // all rounds ask at once: a trip to level 2 is what it costs
#pragma unroll
      for (int r = 0; r < kRounds; r++) {
        const uint8_t *from = planes + first[r] * 4, *second = from + (is_split[r] ? kHidden * 4 : 0);
        v[r][0] = look(from);
        v[r][1] = look(from + 16);
        v[r][2] = look(second);
        v[r][3] = look(second + 16);
      }
    }
    bool is_number = true;
#pragma unroll
    for (int r = 0; r < kRounds; r++) {
      if (!is_split[r]) v[r][2] = v[r][3] = make_uint4(0, 0, 0, 0);
#pragma unroll
      for (int k = 0; k < 8; k++) x[r][k] = 0;
#pragma unroll
      for (int k = 0; k < 4; k++) add_words(x[r] + 4 * (k & 1), v[r][k]);
#pragma unroll
      for (int k = 0; k < 8; k++) x[r][k] += before[r][k];
      squares[r] = sum_of_squares(x[r]);
      is_number = is_number && squares[r] == squares[r];
    }
    if (__all_sync(~0u, is_number)) break;
    all = true;
#pragma unroll
    for (int r = 0; r < kRounds; r++)
#pragma unroll
      for (int k = 0; k < 4; k++) all = all && is_full(v[r][k]);
  } while (!__all_sync(~0u, all));
#pragma unroll
  for (int r = 0; r < kRounds; r++)
    if (has_values<kHidden>(r, thread)) store_eight(s.residual + first[r], x[r]);
#pragma unroll
  for (int o = 16; o; o >>= 1)
#pragma unroll
    for (int r = 0; r < kRounds; r++) squares[r] += __shfl_xor_sync(~0u, squares[r], o);
#pragma unroll
  for (int r = 0; r < kRounds; r++)
    if ((thread & 31) == 0 && has_values<kHidden>(r, thread)) s.scratch[first[r] / 256] = squares[r];
  consumers_sync();
  uint2 packed[kRounds];
  float2 scales[kRounds];
  normalise_quantise(x, gain, norm_factor(s.scratch, args.epsilon), packed, scales);
#pragma unroll
  for (int r = 0; r < kRounds; r++)
    if (has_values<kHidden>(r, thread)) Q8Target{s.xq, s.xs, 1, 0}.store(first[r], packed[r], scales[r]);
}

/// Fills what the block shares and no step changes.
__device__ __forceinline__ void prepare(const DecodeArgs& args, Block& s) {
  const uint64_t* from = reinterpret_cast<const uint64_t*>(args.layers);
  uint64_t* to = reinterpret_cast<uint64_t*>(s.layers);
  for (int i = threadIdx.x; i < (args.layer_count + 1) * (int)(sizeof(LayerArgs) / 8); i += kPersistentBlock) to[i] = __ldg(from + i);
  const int4* tables[6] = {args.qkv_v4, args.qkv_v6, args.output, args.gate_up, args.down_q4, args.down_q6};
#pragma unroll
  for (int i = 0; i < 6; i++)
    if (threadIdx.x == i)
      s.shares[i] = share_of(__ldg(tables[i] + blockIdx.x), (i >= 4 ? kFeedForward / 256 : i == 2 ? kQueryRows / 256 : kHidden / 256) / kSegmentUnits);
  const int words = (kFeedForward / 8 - args.first_loose) * 4, word = (int)blockIdx.x - ((int)gridDim.x - words); // the last blocks: the first have attention
  if (threadIdx.x == 3 && word >= 0) s.shares[3].loose = args.first_loose * 8 + word * 2;
  const uint8_t* splits[3] = {args.output_splits, args.down_q4_splits, args.down_q6_splits};
  for (int i = threadIdx.x; i < kHidden / 16; i += kPersistentBlock)
#pragma unroll
    for (int k = 0; k < 3; k++) s.has_second_plane[k][i] = __ldg(splits[k] + i) < (k == 0 ? kQueryRows : kFeedForward) / 256 / kSegmentUnits;
  if (threadIdx.x < kConsumers * kSlots) {
    barrier_init(&s.full[0][0] + threadIdx.x);
    barrier_init(&s.empty[0][0] + threadIdx.x);
    barrier_init_done();
  }
  __syncthreads();
}
/// What the step before decides: the context, and the token, whose embedding the step begins with. All consumers.
__device__ __forceinline__ void begin_step(const DecodeArgs& args, Block& s, int warp, int lane) {
  const int slot = args.attention.batch_slot[0], token = slot < 0 ? 0 : __ldcg(args.slot_token + slot);
  if (warp == 1) {
    const Context context(args.attention, slot);
    s.turns[lane] = head_turn(context.position, args.attention.turns, lane);
    if (lane == 0) s.context = context;
  }
  const uint8_t* embedding = s.layers[args.layer_count].qkv;               // the head's matrix
  // Eight values a thread, as take_residual has them.
  for (int first = threadIdx.x * 8; first < kHidden; first += kConsumerThreads * 8) {
    float v[8];
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = q6_weight(embedding, kHidden >> 8, token, first + i);
    store_eight(s.residual + first, v);
  }
  __syncthreads();
}

extern "C" __global__ void __launch_bounds__(kPersistentBlock, 1) decode_layers(const DecodeArgs args) {
  Block& s = shared_block();
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  prepare(args, s);
  if (warp == kConsumers) {
    produce(args, s, lane);
    return;
  }

  pdl_wait();
  pdl_launch();                                                    // the next kernel's blocks cost nothing while they wait, and are there when this one ends
  const unsigned step_number = *reinterpret_cast<volatile unsigned*>(args.steps);
  begin_step(args, s, warp, lane);
  unsigned n = 0;                                                  // pieces this warp has had

#pragma unroll 1
  for (int index = 0; index <= args.layer_count; index++) {                    // the head comes after the last layer and begins as one does
    const LayerArgs& layer = s.layers[index];
    const unsigned types = (unsigned)layer.types;
    // This layer's places: in use, and those of the next step.
    uint8_t* exchange = args.exchange + (size_t)((step_number & 1) * args.layer_count + index) * kExchangeBytes;
#pragma unroll 1
    for (int step = 0; step < kStepsOfLayer; step++) {
      // Asked for anew, so that the compiler does not work out addresses of all steps beforehand and keep them in local memory.
      int thread;
      asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
      const int lane = thread & 31, warp = thread >> 5;
      MARK(0);
      if (step == kOutputStep && (int)blockIdx.x < kKvHeads * s.context.splits) {
        const uint32_t tag = step_number * args.layer_count + index + 1;     // never before for a place that is told
        attend(args, s, layer, exchange, tag, n, warp, lane);
      }
      MARK(1);
      // All that can be known is, before anything is waited for: what comes after that keeps the other blocks waiting.
      const Share& kept = s.shares[kind_of(step, types)];
      const Share share = kept;
      const bool is_silu = step == kGateUpStep;
      const int at = step == kQkvStep ? kQkvAt : step == kOutputStep ? kOutputAt : step == kGateUpStep ? kHAt : kDownAt;
      const bool has_loose = is_silu && share.loose >= 0;
      const int rows = share.tiles * 16 + (has_loose ? 4 : 0);
      uint8_t* out = exchange + at;
      const Row row = row_of(share, out, is_silu, thread);
      const Columns columns(lane);
      if (has_loose) ask_for_loose(s, layer.gate_up, share.loose, thread);
      if (step == kQkvStep) {
        const uint8_t* planes = index > 0 ? exchange - kExchangeBytes + kDownAt : nullptr;
        take_residual(args, s, planes, index > 0 ? 1 + (s.layers[index - 1].types >> 1 & 1) : 0, layer.attention_gain, thread);
      } else if (step == kOutputStep) {
        take_attended(s, exchange, thread);
      } else if (step == kGateUpStep) {
        take_residual(args, s, exchange + kOutputAt, 0, layer.feed_forward_gain, thread);
      } else {
        take_h(s, exchange, thread);
      }
      if (has_loose) copy_wait<0>();
      consumers_sync();
      MARK(2);
      if (index == args.layer_count) {
        multiply_head(args, s, columns, n, warp, lane);
        MARK(3);
        MARK(4);
        break;
      }
      multiply(s, share, columns, step == kDownStep && (types & 2), types & 1, n, warp, lane);
      if (has_loose && warp >= kConsumers - 2) multiply_loose(s, share, columns.exponent, warp - (kConsumers - 2), lane);
      consumers_sync();
      MARK(3);
      if (thread < rows) add_up(s, row, is_silu, lane);
#pragma unroll 1
      for (int i = thread + kConsumerThreads; i < rows; i += kConsumerThreads) add_up(s, row_of(kept, out, is_silu, i), is_silu, lane);
      MARK(4);
      if (step == kQkvStep) {
        // Empties the next step's places of this layer: everyone has read them a step ago.
        uint8_t* next = args.exchange + (size_t)((~step_number & 1) * args.layer_count + index) * kExchangeBytes;
        for (int i = thread * gridDim.x + blockIdx.x; i < kExchangeBytes / 16; i += kConsumerThreads * gridDim.x)
          *reinterpret_cast<uint4*>(next + (size_t)i * 16) = make_uint4(kEmpty, kEmpty, kEmpty, kEmpty);
      }
    }
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) *args.steps = step_number + 1;  // everyone has read it: without them there were no last layer
}
#endif
