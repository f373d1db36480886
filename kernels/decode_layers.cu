// decode_layers: all layers of one decode step in one kernel, for one sequence on Hopper. Blocks stay, one a multiprocessor, and meet at a barrier
// in global memory between the five steps of a layer; before a block waits there, its warps ask for the first weights of what comes next. One
// generic product loop serves all matrices. As fast as five kernels a layer at short contexts and slower at long ones (docs/experiments.md says
// where its time goes), so it is off unless asked for.
//
// The arithmetic is that of gemv_w4a8 and attention_decode, bit for bit.
#include "attention_decode.cu"

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

struct DecodeArgs {
  AttentionArgs attention;           // pool and gains come from the layer
  const LayerArgs* layers;
  const int4* qkv_v4;                // work ranges, as in gemv_w4a8
  const int4* qkv_v6;
  const int4* output;
  const int4* gate_up;
  const int4* down_q4;
  const int4* down_q6;
  float* x0;
  float* x1;
  float* qkv_planes;
  float* output_planes;
  float* down_planes;
  __half* h;
  unsigned int* barrier;             // zero at the start
  long long* trace;                  // [steps][8] clocks of one block, for the bench; usually null
  int layer_count, results_bytes;
  float epsilon;
};

constexpr int kMostLayers = 36, kPersistentDepth = 2, kPersistentSlot = kUnitBytes<kQ6>;

/// A matrix and this block's segments of it.
struct Product {
  const uint8_t* a;
  const uint8_t* b;
  int4 range, tiles;                 // tiles: first of part a, how many, first of part b, how many
  int segments, count_a, count;
  bool a_is_q6, b_is_q6;
};
__device__ __forceinline__ Product product_of(const uint8_t* a, const uint8_t* b, int4 range, int4 tiles, int units, bool a_is_q6, bool b_is_q6) {
  Product p;
  p.a = a;
  p.b = b;
  p.range = range;
  p.tiles = tiles;
  p.segments = units / kSegmentUnits;
  p.count_a = p.range.y - p.range.x;
  p.count = p.count_a + p.range.w - p.range.z;
  p.a_is_q6 = a_is_q6;
  p.b_is_q6 = b_is_q6;
  return p;
}

struct Persistent {
  WarpRing<kPersistentSlot, kPersistentDepth> ring;
  int loads, waits;                  // of this warp, since the start
  int issued;                        // units of the current product asked for
  int lane, warp;
  unsigned target;
  unsigned int* counter;

  __device__ __forceinline__ void load_next(const Product& p) {
    const int i = warp + issued / kSegmentUnits * kWarps, u = issued % kSegmentUnits;
    if (i >= p.count) return;
    const bool in_a = i < p.count_a, q6 = in_a ? p.a_is_q6 : p.b_is_q6;
    const int item = in_a ? p.range.x + i : p.range.z + i - p.count_a, bytes = q6 ? kUnitBytes<kQ6> : kUnitBytes<kQ4>;
    ring.load(loads++, (in_a ? p.a : p.b) + (size_t)(item * kSegmentUnits + u) * bytes, bytes);
    issued++;
  }
  __device__ __forceinline__ void begin(const Product& p) {
    issued = 0;
#pragma unroll 1
    for (int d = 0; d < kPersistentDepth; d++) load_next(p);
  }
  /// All blocks have arrived and their writes are visible. Call arrive() once before each.
  __device__ __forceinline__ void wait_all() {
    if (threadIdx.x == 0) {
      unsigned seen;
      do asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(counter) : "memory");
      while ((int)(seen - target) < 0);
    }
    __syncthreads();
  }
  __device__ __forceinline__ void arrive() {
    __syncthreads();
    target += gridDim.x;
    if (threadIdx.x == 0) asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
  }
  /// Every warp its segments of the product.
  __device__ __forceinline__ void multiply(const Product& p, const int8_t* xq, const float2* xs, float* results) {
#pragma unroll 1
    for (int i = warp; i < p.count; i += kWarps) {
      const bool in_a = i < p.count_a, q6 = in_a ? p.a_is_q6 : p.b_is_q6;
      const int at = (in_a ? p.range.x + i : p.range.z + i - p.count_a) % p.segments * kSegmentUnits;
      float row = 0, row8 = 0;
#pragma unroll 1
      for (int u = 0; u < kSegmentUnits; u++) {
        ring.wait(waits);
        const uint8_t* data = ring.slot(waits++);
        if (q6) unit_q6(data, xq + (at + u) * 256, xs + (at + u) * 8, lane, row, row8);
        else unit_q4(data, xq + (at + u) * 256, xs + (at + u) * 8, lane, row, row8);
        __syncwarp();
        load_next(p);
      }
      row += __shfl_xor_sync(~0u, row, 1);
      row8 += __shfl_xor_sync(~0u, row8, 1);
      row += __shfl_xor_sync(~0u, row, 2);
      row8 += __shfl_xor_sync(~0u, row8, 2);
      if ((lane & 3) == 0) {
        results[i * 16 + (lane >> 2)] = row;
        results[i * 16 + (lane >> 2) + 8] = row8;
      }
    }
  }
  /// Rows of the block from its segments: into planes, or SiLU of pairs into h.
  __device__ __forceinline__ void finish(const Product& p, const float* results, float* planes, int rows, int rows_a, __half* h) {
    const int tile_a = p.tiles.x, tiles_a = p.tiles.y, tile_b = p.tiles.z, tiles_b = p.tiles.w;
#pragma unroll 1
    for (int i = threadIdx.x; i < (tiles_a + tiles_b) * 16; i += kBlock) {       // whole half-warps
      const int index = i >> 4;
      // Lanes 2r and 2r + 1 of a tile take rows r and r + 8, so that gate and up of a pair are neighbours.
      const int row = h ? ((i & 15) >> 1) + (i & 1) * 8 : i & 15;
      const bool in_a = index < tiles_a;
      int tile = in_a ? tile_a + index : tile_b + index - tiles_a;
      const int low = max(in_a ? p.range.x : p.range.z, tile * p.segments), high = min(in_a ? p.range.y : p.range.w, (tile + 1) * p.segments);
      const float* from = results + (low - (in_a ? p.range.x : p.range.z - p.count_a)) * 16 + row;
      float sum = 0;
#pragma unroll 1
      for (int k = 0; k < high - low; k++) sum += from[k * 16];
      const int plane = low > tile * p.segments;
      if (!in_a) tile += rows_a / 16;
      if (h) {
        const float up = __shfl_xor_sync(__activemask(), sum, 1);
        if ((i & 1) == 0) h[tile * 8 + row] = __float2half_rn(fminf(fmaxf(silu(sum) * up, -65504.0f), 65504.0f));
      } else planes[(size_t)plane * rows + tile * 16 + row] = sum;
    }
  }
};

extern "C" __global__ void __launch_bounds__(kBlock, 1) decode_layers(const DecodeArgs args) {
  extern __shared__ __align__(128) uint8_t shared[];
  uint8_t* slots = shared;
  uint8_t* pages = slots + kWarps * kPersistentDepth * kPersistentSlot;
  int8_t* xq = reinterpret_cast<int8_t*>(pages + kAttentionWarps * kPageBytes);
  float2* xs = reinterpret_cast<float2*>(xq + kFeedForward);
  float* results = reinterpret_cast<float*>(xs + kFeedForward / 32);
  AttentionShared& sh = *reinterpret_cast<AttentionShared*>(reinterpret_cast<uint8_t*>(results) + args.results_bytes);
  __shared__ uint64_t bars[kWarps * kPersistentDepth], page_bars[kAttentionWarps];
  __shared__ float scratch[kWarps];
  // What all layers need is fetched once: a pointer that has to come from level 2 first costs every step a microsecond.
  __shared__ LayerArgs layers[kMostLayers];
  __shared__ int4 ranges[6], tiles[6];

  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  Persistent run{WarpRing<kPersistentSlot, kPersistentDepth>(slots, bars, warp, lane), 0, 0, 0, lane, warp, 0, args.barrier};
  PageRing page_ring(pages, page_bars, warp & 3, warp < kAttentionWarps ? lane : 1);
  int pages_used = 0;

  // A layer's steps: 0 q, k, v; 1 attention; 2 output; 3 gate and up; 4 down. One loop over all of them keeps one copy of the product's code.
  auto product_for = [&](const LayerArgs& layer, int step) {
    const bool value_q6 = layer.types & 1, down_q6 = layer.types & 2;
    const int kind = step == 0 ? value_q6 : step == 4 ? 4 + down_q6 : step;
    const uint8_t* a = step == 0 ? layer.qkv : step == 2 ? layer.output : step == 3 ? layer.gate_up : layer.down;
    const int units = step == 4 ? kFeedForward / 256 : step == 2 ? kQueryRows / 256 : kHidden / 256;
    return product_of(a, layer.value, ranges[kind], tiles[kind], units, step == 4 && down_q6, step == 0 && value_q6);
  };
  {
    const uint64_t* from = reinterpret_cast<const uint64_t*>(args.layers);
    uint64_t* to = reinterpret_cast<uint64_t*>(layers);
    for (int i = threadIdx.x; i < args.layer_count * (int)(sizeof(LayerArgs) / 8); i += kBlock) to[i] = __ldg(from + i);
    const int4* tables[6] = {args.qkv_v4, args.qkv_v6, args.output, args.gate_up, args.down_q4, args.down_q6};
#pragma unroll
    for (int i = 0; i < 6; i++)
      if (threadIdx.x == i) {
        const int4 r = __ldg(tables[i] + blockIdx.x);
        const int segments = (i >= 4 ? kFeedForward / 256 : i == 2 ? kQueryRows / 256 : kHidden / 256) / kSegmentUnits;
        ranges[i] = r;
        tiles[i].x = r.x / segments;
        tiles[i].y = r.y > r.x ? (r.y - 1) / segments - r.x / segments + 1 : 0;
        tiles[i].z = r.z / segments;
        tiles[i].w = r.w > r.z ? (r.w - 1) / segments - r.z / segments + 1 : 0;
      }
  }
  __syncthreads();
  const int share = blockIdx.x / kKvHeads, shares = gridDim.x / kKvHeads;
  const bool attends = warp < kAttentionWarps && share < shares;
  run.begin(product_for(layers[0], 0));
  pdl_launch();
  pdl_wait();
  AttentionTask<true> attention{args.attention, page_ring, nullptr, share, shares, (int)blockIdx.x % kKvHeads, 0, lane, warp};
  attention.look();
  auto mark = [&](int at, int place) {
    if (args.trace && blockIdx.x == 3 && threadIdx.x == 0) args.trace[at * 8 + place] = clock64();
  };

#pragma unroll 1
  for (int at = 0; at < 5 * args.layer_count; at++) {
    const int index = at / 5, step = at - index * 5;
    const LayerArgs& layer = layers[index];
    mark(at, 0);
    if (step == 0 && attends) {
      attention.pool = layer.pool;
      attention.start(pages_used);                     // its pages arrive while q, k and v are computed
    }
    if (step == 1) {
      run.wait_all();
      mark(at, 1);
      if (attends) {
        if (attention.has_work()) attention.run(sh, layer.q_gain, layer.k_gain);
        pages_used = attention.loaded;
      }
      mark(at, 2);
      run.arrive();
      mark(at, 5);
      continue;
    }
    if (at > 0) run.wait_all();
    mark(at, 1);
    if (step == 2) {
      for (int i = threadIdx.x * 16; i < kQueryRows; i += kBlock * 16)
        *reinterpret_cast<uint4*>(xq + i) = __ldcg(reinterpret_cast<const uint4*>(args.attention.q8 + i));
      for (int i = threadIdx.x; i < kQueryRows / 32; i += kBlock) xs[i] = __ldcg(args.attention.q8_scales + i);
    } else if (step == 4) {
      constexpr int kSteps = (kFeedForward + 8 * kBlock - 1) / (8 * kBlock);
      uint4 raw[kSteps];
#pragma unroll
      for (int s = 0; s < kSteps; s++) {
        const int i = (s * kBlock + threadIdx.x) * 8;
        if (i < kFeedForward) raw[s] = __ldcg(reinterpret_cast<const uint4*>(args.h + i));
      }
#pragma unroll
      for (int s = 0; s < kSteps; s++) {
        const int i = (s * kBlock + threadIdx.x) * 8;
        if (i < kFeedForward) {
          const float v[8] = {low_half(raw[s].x), high_half(raw[s].x), low_half(raw[s].y), high_half(raw[s].y),
                              low_half(raw[s].z), high_half(raw[s].z), low_half(raw[s].w), high_half(raw[s].w)};
          float2 scale;
          const uint2 packed = quantise_group8(v, scale);
          Q8Target{xq, xs, 1, 0}.store(i, packed, scale);
        }
      }
    } else {
      const float* planes = step == 3 ? args.output_planes : index > 0 ? args.down_planes : nullptr;
      auto sum = [&](int i) { return planes ? sum_planes4(planes, kHidden, 2, 1, i) : make_float4(0, 0, 0, 0); };
      float* x_out = blockIdx.x != 0 ? nullptr : step == 3 ? args.x0 : args.x1;
      norm_quantise(step == 3 ? args.x1 : args.x0, sum, x_out, step == 3 ? layer.feed_forward_gain : layer.attention_gain, args.epsilon,
                    Q8Target{xq, xs, 1, 0}, scratch);
    }
    __syncthreads();
    mark(at, 2);
    // Made anew from shared memory each time: kept over the attention step they would push its registers into local memory.
    const Product current = product_for(layer, step);
    run.multiply(current, xq, xs, results);
    const bool is_last = step == 4 && index + 1 == args.layer_count;
    if (!is_last) run.begin(product_for(layers[step == 4 ? index + 1 : index], step == 0 ? 2 : step == 4 ? 0 : step + 1));
    __syncthreads();
    mark(at, 3);
    run.finish(current, results, step == 0 ? args.qkv_planes : step == 2 ? args.output_planes : args.down_planes, step == 0 ? kQkvRows : kHidden,
               kQueryRows + kKvRows, step == 3 ? args.h : nullptr);
    mark(at, 4);
    run.arrive();
    mark(at, 5);
  }
}
#endif
