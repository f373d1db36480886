// What a block of decode_layers shares: slots for the weights and pages on their way, activations, tables.
#pragma once
#include "attention_pieces.cuh"
#include "units.cuh"

#if HOPPER || !defined(__CUDA_ARCH__)

struct LayerArgs {
  const uint8_t* qkv;
  const uint8_t* value;
  const uint8_t* output;
  const uint8_t* gate_up;
  const uint8_t* down;
  const float* attention_gain;
  const float* q_gain;
  const float* k_gain;
  const float* feed_forward_gain;
  uint8_t* pool;
  unsigned long long types;          // bit 0: values are Q6, bit 1: down is Q6
};

// As many consumers as chains of attention. More warps would leave each fewer slots, and it is weights on their way that decide: ten and eleven were slower.
constexpr int kConsumers = kChains, kConsumerThreads = 32 * kConsumers;
constexpr int kSlots = 5, kSlotBytes = kSegmentBytes<kQ4>;         // a segment of Q4, a unit of Q6, or half of a page's keys or values
static_assert(kUnitBytes<kQ6> <= kSlotBytes && kPageBytes / 4 + 256 <= kSlotBytes, "slots hold every piece");
constexpr int kPersistentBlock = kConsumerThreads + 32, kMostLayers = 36;
constexpr int kMostSegments = 160;                                 // that results have room for: mostPersistentSegments, and a tile of loose rows
// Where a step's time goes, for bench/cuda/profile.ts: a build with QUERN_NVCC_FLAGS=-DTRACE_CLOCKS notes each block's clocks.
#ifdef TRACE_CLOCKS
#define MARK(place) \
  do { if (args.trace && threadIdx.x == 0) args.trace[((index * 4 + step) * 8 + place) * gridDim.x + blockIdx.x] = clock64(); } while (0)
#else
#define MARK(place)
#endif

/// Barrier of the consumers; the producer takes no part.
__device__ __forceinline__ void consumers_sync() { asm volatile("bar.sync 1, %0;" ::"n"(kConsumerThreads) : "memory"); }

struct Slot { __align__(128) uint8_t bytes[kSlotBytes]; };

/// A block's share of one kind of matrix. Segment i of the share is segment (start + i) % segments of its row, and a warp's next one `forth` further.
/// A matrix with a part b is dealt by whole tiles: `start` is not 0 only in a part a that is all there is.
struct Share {
  int from_a, count_a, from_b, count, start, segments, forth;
  int tiles_a, tiles;                // tiles of part a and of both that the block has a part of
  int tile_a, tile_b;                // what to add to the index of one of them for its place among all rows
  int loose;                         // of gate and up: the first of two rows of h that the block has besides; negative: none
};

/// Everything the block shares. Its address is a constant, so nothing of it needs a register for long: what spills to local memory here costs a
/// trip to level 2 each time, since shared memory leaves level 1 almost nothing.
struct Block {
  Slot slots[kConsumers][kSlots];
  __align__(16) int8_t xq[kFeedForward];
  __align__(16) float2 xs[kFeedForward / 32];
  __align__(16) float residual[kHidden];
  AttentionShared attention;
  HeadTurn turns[32];
  // What all layers need is fetched once: a pointer that has to come from level 2 first costs every step a microsecond.
  LayerArgs layers[kMostLayers + 1];
  Context context;
  Share shares[6];
  uint64_t full[kConsumers][kSlots], empty[kConsumers][kSlots];
  float scratch[kBlock / 32];
  uint8_t has_second_plane[3][kHidden / 16];                         // row tiles of the output and the two kinds of down
  /// [segments of the block][16]. Products and attention take turns, so they share the place.
  __device__ __forceinline__ float* results() { return &attention.merged[0][0][0]; }
  /// Weights of the loose rows: behind all results.
  __device__ __forceinline__ uint8_t* loose_units() { return reinterpret_cast<uint8_t*>(results() + kMostSegments * 16); }
};
static_assert(sizeof(Block) <= kConsumers * kSlots * kSlotBytes + kFeedForward * 5 / 4 + 4 * kHidden + 24 * 1024, "persistentSharedBytes counts on it");
static_assert(sizeof(AttentionShared::merged) >= kMostSegments * 64 + kHidden / 256 * kLooseUnitBytes, "room for results and loose rows");

/// Declared where it is used, so that the compiler knows it for shared memory also in functions that are not inlined.
__device__ __forceinline__ Block& shared_block() {
  extern __shared__ __align__(128) uint8_t shared[];
  return *reinterpret_cast<Block*>(shared);
}

/// A consumer warp: its n-th piece, when it is there.
__device__ __forceinline__ const uint8_t* piece(Block& s, int warp, unsigned n) {
  barrier_wait(&s.full[warp][n % kSlots], (n / kSlots) & 1);
  return s.slots[warp][n % kSlots].bytes;
}
__device__ __forceinline__ void release(Block& s, int warp, int lane, unsigned& n) {
  __syncwarp();
  if (lane == 0) barrier_arrive(&s.empty[warp][n % kSlots]);
  n++;
}

__device__ __forceinline__ Share share_of(int4 range, int segments) {
  Share s;
  s.from_a = range.x;
  s.count_a = range.y - range.x;
  s.from_b = range.z;
  s.count = s.count_a + range.w - range.z;
  s.segments = segments;
  s.forth = kConsumers % segments;
  s.start = s.count_a > 0 ? range.x % segments : 0;
  s.tile_a = range.x / segments;
  s.tiles_a = s.count_a > 0 ? (range.y - 1) / segments - s.tile_a + 1 : 0;
  s.tiles = s.tiles_a + (range.w - range.z) / segments;
  s.tile_b = (kQueryRows + kKvRows) / 16 + range.z / segments - s.tiles_a;
  s.loose = -1;
  return s;
}
#endif
