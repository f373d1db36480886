// gemm_prefill_w4a16 for Hopper: weights are turned to f16 fragments in registers, as in the portable kernel, but multiplied by wgmma with tiles of
// activations in shared memory (prompt.cuh). A block makes 128 rows by COLUMNS tokens with two warpgroups; its first warp asks the copy engine for
// units and tiles. While one group of 32 inputs is multiplied, each warp prepares the next; two blocks share a multiprocessor.
//
// Few tokens make few blocks, so a cluster of blocks may share a tile, each with some of its inputs, and add up through shared memory. The cluster is a
// constant of the matrix (prompt-steps.ts), however many tokens a step has, and all tile widths go through the inputs and add the shares in one order: a
// token's numbers do not depend on its company.
#include "prefill_weights.cuh"
#include "wgmma.cuh"

constexpr int kHopperGemmThreads = 256;

struct HopperPrefillArgs {
  const uint8_t* weights;
  const uint8_t* weights_b;   // Q6 rows from `rows_a` on, where a matrix has both
  const __half* x;            // [tokens][inputs] in tiles
  void* out;
  int tokens, out_stride, rows_a;
};

/// Shared memory, in order: token tiles, units, scales of each warp, barriers. Two blocks must fit a multiprocessor; not if DEEP: where the blocks are
/// fewer than the multiprocessors, what a product takes is waiting for memory, so more is on its way.
template <int UNIT_BYTES, int COLUMNS, bool DEEP> struct HopperTiles {
  static constexpr int kColumns = COLUMNS, kTokenBytes = COLUMNS * 128;
  static constexpr int kTokenStages = DEEP ? 8 : COLUMNS == 64 ? 6 : COLUMNS == 96 || UNIT_BYTES == kUnitBytes<kQ4> ? 4 : 3;
  static constexpr int kUnitStages = DEEP ? 4 : COLUMNS < 128 ? 3 : 2;
  uint8_t* tokens;
  uint8_t* units;
  uint32_t* scales;
  uint64_t *token_full, *token_empty, *unit_full, *unit_empty;
  __device__ __forceinline__ HopperTiles() {
    extern __shared__ __align__(1024) uint8_t shared[];
    tokens = shared;
    units = tokens + kTokenStages * kTokenBytes;
    scales = reinterpret_cast<uint32_t*>(units + kUnitStages * 8 * UNIT_BYTES);
    token_full = reinterpret_cast<uint64_t*>(scales + 8 * 128);
    token_empty = token_full + kTokenStages;
    unit_full = token_empty + kTokenStages;
    unit_empty = unit_full + kUnitStages;
  }
};

// ---- clusters ----

__device__ __forceinline__ int cluster_blocks() {
  int n;
  asm("mov.u32 %0, %%cluster_nctaid.z;" : "=r"(n));
  return n;
}

// ---- the end of a tile ----

/// Tokens of a tile as rows of 128 floats in shared memory, padded so that neither way of access meets a bank twice.
constexpr int kResultStride = 132;

/// silu(gate) * up of 64 features by pieces of eight: a 16-byte piece of a tile of activations takes two neighbours from each of four row tiles.
__device__ __forceinline__ void finish_silu(const HopperPrefillArgs& args, const float* results, int first_row, int first_token, int columns) {
#pragma unroll 1
  for (int i = threadIdx.x; i < columns * 8; i += kHopperGemmThreads) {
    const int token = i >> 3, piece = i & 7, feature = (piece & 3) * 2;
    if (first_token + token >= args.tokens) return;
    uint32_t pairs[4];
#pragma unroll
    for (int tile = 0; tile < 4; tile++) {
      const float* of = results + token * kResultStride + ((piece >> 2) * 4 + tile) * 16 + feature;
      const float2 gate = *reinterpret_cast<const float2*>(of), up = *reinterpret_cast<const float2*>(of + 8);
      auto one = [](float a, float b) { return fminf(fmaxf(silu(a) * b, -65504.0f), 65504.0f); };
      pairs[tile] = half2_bits(one(gate.x, up.x), one(gate.y, up.y));
    }
    // Feature 32q + 8 tile + 4j + 2h is where prompt_at puts it: piece q, j, h of the token, pairs in the order of tiles.
    const size_t at = prompt_at<kFeedForward>(first_token + token, first_row / 2 + (piece >> 2) * 32 + feature);
    *reinterpret_cast<uint4*>(static_cast<__half*>(args.out) + at) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
  }
}
template <bool ADD> __device__ __forceinline__ void finish_rows(const HopperPrefillArgs& args, const float* results, int first_row, int first_token, int columns) {
  float* out = static_cast<float*>(args.out) + (size_t)first_token * args.out_stride + first_row;
  constexpr int kTogether = 4;                                  // loads in flight
#pragma unroll 1
  for (int i = threadIdx.x; i < columns * 32; i += kHopperGemmThreads * kTogether) {
    float4 before[kTogether];
#pragma unroll
    for (int n = 0; n < kTogether; n++) {
      const int token = (i >> 5) + n * (kHopperGemmThreads / 32);
      if (ADD && token < columns && first_token + token < args.tokens) before[n] = *reinterpret_cast<const float4*>(out + (size_t)token * args.out_stride + (i & 31) * 4);
    }
#pragma unroll
    for (int n = 0; n < kTogether; n++) {
      const int token = (i >> 5) + n * (kHopperGemmThreads / 32);
      if (token >= columns || first_token + token >= args.tokens) continue;
      float4 v = *reinterpret_cast<const float4*>(results + token * kResultStride + (i & 31) * 4);
      if (ADD) v = make_float4(before[n].x + v.x, before[n].y + v.y, before[n].z + v.z, before[n].w + v.w);
      *reinterpret_cast<float4*>(out + (size_t)token * args.out_stride + (i & 31) * 4) = v;
    }
  }
}

/// What the first warp asks the copy engine for.
template <int UNITS, class TILES> struct TileLoader {
  static constexpr int kColumns = TILES::kColumns, kTokenStages = TILES::kTokenStages, kUnitStages = TILES::kUnitStages;
  const TILES tiles;
  const uint8_t *from_units, *from_tokens;
  int unit_bytes, unit_count, lane;
  __device__ __forceinline__ void unit(int n) const {
    if (n >= unit_count) return;
    const int place = n % kUnitStages;
    barrier_wait(tiles.unit_empty + place, (n / kUnitStages & 1) ^ 1);
    if (lane == 0) barrier_expect(tiles.unit_full + place, 8 * unit_bytes);
    __syncwarp();
    if (lane < 8) bulk_copy_announced(tiles.units + (place * 8 + lane) * unit_bytes, from_units + ((size_t)lane * UNITS + n) * unit_bytes, unit_bytes, tiles.unit_full + place);
    __syncwarp();
  }
  __device__ __forceinline__ void step(int step) const {
    if (step >= unit_count * 4) return;
    const int stage = step % kTokenStages;
    barrier_wait(tiles.token_empty + stage, (step / kTokenStages & 1) ^ 1);
    if (lane == 0) {
      barrier_expect(tiles.token_full + stage, TILES::kTokenBytes);
#pragma unroll
      for (int at = 0; at < TILES::kTokenBytes; at += 8192)
        bulk_copy_announced(tiles.tokens + stage * TILES::kTokenBytes + at, from_tokens + (size_t)at * UNITS * 4 + (size_t)step * 8192, min(8192, TILES::kTokenBytes - at),
                            tiles.token_full + stage);
    }
    __syncwarp();
  }
};

/// sums = this warp's 16 rows by the block's tokens.
template <int TYPE, class LOADER> __device__ __forceinline__ void multiply_tiles(float (&sums)[LOADER::kColumns / 2], const LOADER& loader, int warp) {
  constexpr int kUnit = kUnitBytes<TYPE>, kStages = LOADER::kTokenStages, kUnitStages = LOADER::kUnitStages, kTokenBytes = LOADER::kColumns * 128;
  const auto& tiles = loader.tiles;
  const int lane = loader.lane, unit_count = loader.unit_count, g = lane >> 2;
  uint32_t* scales = tiles.scales + warp * 128;      // [group][row]
  const uint8_t* my_units = tiles.units + warp * kUnit;
  uint32_t a[2][2][4];

  auto decode_scales = [&](const uint8_t* unit) {
    __syncwarp();
    decode_unit_scales<TYPE>(unit, lane, [&](int row, int group, uint32_t v) { scales[group * 16 + row] = v; });
    __syncwarp();
  };
  auto prepare = [&](const uint8_t* unit, int group, uint32_t (&to)[2][4]) {
    weight_fragments<TYPE>(unit, group, lane, scales[group * 16 + g], scales[group * 16 + g + 8], to[0], to[1]);
  };

  if (warp == 0) {
    for (int n = 0; n < kUnitStages - 1; n++) loader.unit(n);   // weights never change: the kernel before may still run
  }
  pdl_wait();
  if (warp == 0) {
    for (int step = 0; step < kStages - 2; step++) loader.step(step);
  }
  barrier_wait(tiles.unit_full, 0);
  decode_scales(my_units);
  prepare(my_units, 0, a[0]);
#pragma unroll 1
  for (int step = 0; step < unit_count * 4; step++) {
    const int n = step >> 2, p = step & 3;
    const uint8_t* unit = my_units + n % kUnitStages * 8 * kUnit;
    barrier_wait(tiles.token_full + step % kStages, step / kStages & 1);
    const uint32_t tile = shared_address(tiles.tokens + step % kStages * kTokenBytes);
#pragma unroll
    for (int e = 0; e < 2; e++) {
      hold(a[e][0]);
      hold(a[e][1]);
      wgmma_fence();
#pragma unroll
      for (int j = 0; j < 2; j++) wgmma<LOADER::kColumns>(sums, a[e][j], tile_descriptor(tile + e * 64 + j * 32), step > 0 || e > 0 || j > 0);
      wgmma_commit();
      if (e == 0 && warp == 0) {                                // tiles left two steps ago, units a while ago: hardly anyone still reads them
        loader.step(step + kStages - 2);
        if (p == 1) loader.unit(n + kUnitStages - 1);
      }
      wgmma_wait<1>();                                          // the group before is done: its fragments and, after every second, its tile are free
      if (e == 0) {
        if (step > 0 && lane == 0) barrier_arrive(tiles.token_empty + (step - 1) % kStages);
        prepare(unit, 2 * p + 1, a[1]);
      } else if (p < 3) {
        prepare(unit, 2 * p + 2, a[0]);
      } else {
        __syncwarp();
        if (lane == 0) barrier_arrive(tiles.unit_empty + n % kUnitStages);
        if (n + 1 < unit_count) {
          const uint8_t* next = my_units + (n + 1) % kUnitStages * 8 * kUnit;
          barrier_wait(tiles.unit_full + (n + 1) % kUnitStages, (n + 1) / kUnitStages & 1);
          decode_scales(next);
          prepare(next, 0, a[0]);
        }
      }
    }
  }
  wgmma_wait<0>();
  hold(sums);
}

template <int UNITS, int TYPE_A, int TYPE_B, PrefillEpilogue EPILOGUE, int COLUMNS> __device__ __forceinline__ void gemm_hopper(const HopperPrefillArgs& args) {
  using Tiles = HopperTiles<(kUnitBytes<TYPE_A> > kUnitBytes<TYPE_B> ? kUnitBytes<TYPE_A> : kUnitBytes<TYPE_B>), COLUMNS, COLUMNS < 128 && EPILOGUE != kSiluHalf>;
  constexpr int kPieces = COLUMNS / 8;
  const Tiles tiles;
  pdl_launch();
  const int lane = threadIdx.x & 31, warp = __shfl_sync(~0u, threadIdx.x >> 5, 0), g = lane >> 2, t = lane & 3;
  const int splits = cluster_blocks(), split = splits > 1 ? blockIdx.z : 0;
  const int first_unit = UNITS * split / splits, unit_count = UNITS * (split + 1) / splits - first_unit;
  const int row_tile0 = blockIdx.y * 8, first_token = blockIdx.x * COLUMNS;
  const bool is_b = TYPE_A != TYPE_B && row_tile0 * 16 >= args.rows_a;

  if (threadIdx.x == 0) {
    for (int i = 0; i < Tiles::kTokenStages; i++) {
      barrier_init_count(tiles.token_full + i, 1);
      barrier_init_count(tiles.token_empty + i, 8);
    }
    for (int i = 0; i < Tiles::kUnitStages; i++) {
      barrier_init_count(tiles.unit_full + i, 1);
      barrier_init_count(tiles.unit_empty + i, 8);
    }
    barrier_init_done();
  }
  __syncthreads();

  const int unit_bytes = is_b ? kUnitBytes<TYPE_B> : kUnitBytes<TYPE_A>, matrix_tile = is_b ? row_tile0 - args.rows_a / 16 : row_tile0;
  const TileLoader<UNITS, Tiles> loader{tiles,
                                        (is_b ? args.weights_b : args.weights) + ((size_t)matrix_tile * UNITS + first_unit) * unit_bytes,
                                        reinterpret_cast<const uint8_t*>(args.x) + ((size_t)blockIdx.x * Tiles::kTokenBytes * UNITS + first_unit * 8192) * 4,
                                        unit_bytes, unit_count, lane};
  float sums[COLUMNS / 2];
  if (is_b) multiply_tiles<TYPE_B>(sums, loader, warp);
  else multiply_tiles<TYPE_A>(sums, loader, warp);

  // Everyone is done with the tiles: their memory takes the results. In a cluster, piece i of eight columns belongs to block i * splits / pieces
  // (2 and 4 divide the pieces of every width): the others send it there, it adds all up in the order of the inputs, its own from registers.
  float* results = reinterpret_cast<float*>(tiles.tokens);
  int first_column = 0, columns = COLUMNS;
  auto lay_out = [&](int i, float4 v) {
    float* to = results + (8 * i + 2 * t) * kResultStride + warp * 16 + g;
    to[0] = v.x;
    to[kResultStride] = v.y;
    to[8] = v.z;
    to[kResultStride + 8] = v.w;
  };
  if (splits == 1) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kPieces; i++) lay_out(i, make_float4(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]));
  } else {
    const int each = kPieces / splits;
    first_column = split * each * 8;
    columns = each * 8;
    float4* parts = reinterpret_cast<float4*>(results + columns * kResultStride);
    auto part_at = [&](int i, int of) { return parts + (i * splits + of) * kHopperGemmThreads + threadIdx.x; };
    cluster_sync();
#pragma unroll
    for (int i = 0; i < kPieces; i++) {
      const int owner = i * splits / kPieces;
      if (owner == split) continue;
      store_to_block(shared_address(part_at(i - owner * each, split)), owner, make_float4(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]));
    }
    cluster_sync();
#pragma unroll
    for (int i = 0; i < kPieces; i++) {
      const int place = i - split * each;
      if (place < 0 || place >= each) continue;
      float4 v = make_float4(0, 0, 0, 0);
      for (int s = 0; s < splits; s++) {
        const float4 part = s == split ? make_float4(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]) : *part_at(place, s);
        v.x += part.x; v.y += part.y; v.z += part.z; v.w += part.w;
      }
      lay_out(place, v);
    }
  }
  __syncthreads();
  if (EPILOGUE == kSiluHalf) finish_silu(args, results, row_tile0 * 16, first_token + first_column, columns);
  else finish_rows<EPILOGUE == kAddResidual>(args, results, row_tile0 * 16, first_token + first_column, columns);
}

/// Grid (token tiles of COLUMNS, rows / 128, splits), clusters of (1, 1, splits). With 64 and 96 columns there is one token tile.
#define HOPPER_GEMM(name, units, type_a, type_b, epilogue, columns)                                                        \
  extern "C" __global__ void __launch_bounds__(kHopperGemmThreads, 2) name##_##columns(const HopperPrefillArgs args) {   \
    gemm_hopper<units, type_a, type_b, epilogue, columns>(args);                                                           \
  }
#define HOPPER_GEMMS(columns)                                                             \
  HOPPER_GEMM(prefill_qkv, kHidden / 256, kQ4, kQ6, kStore, columns)                   \
  HOPPER_GEMM(prefill_o, kQueryRows / 256, kQ4, kQ4, kAddResidual, columns)               \
  HOPPER_GEMM(prefill_gate_up, kHidden / 256, kQ4, kQ4, kSiluHalf, columns)               \
  HOPPER_GEMM(prefill_down_q4, kFeedForward / 256, kQ4, kQ4, kAddResidual, columns)       \
  HOPPER_GEMM(prefill_down_q6, kFeedForward / 256, kQ6, kQ6, kAddResidual, columns)

HOPPER_GEMMS(64)
HOPPER_GEMMS(96)
HOPPER_GEMMS(128)
