// From logits to a token, on the device. scan_logits finds each slice's largest logit and the sum of exponentials; sample_token, one block per
// sequence, applies bias, penalties and grammar, draws, and leaves the token where the next step will look for it: in the slot. The host reads a
// copy from pinned memory, later.
//
// Order, as llama.cpp has it: bias; penalties; grammar; top-k; top-p; min-p; temperature; draw. Greedy stops after the grammar.
// Draw i of a sequence uses (seed, i) and nothing else, and all sums run in a fixed order or over integers, so a text depends neither on the
// batch nor on timing.
#include "common.cuh"

constexpr int kSampleThreads = 1024, kSlices = 128, kBins = 2048, kCandidates = 2048;
constexpr float kBinsPerNat = 16.0f;
constexpr int kIdsPerBin = 128;      // of the bins that part tokens of equal logits by their ids
constexpr int kListed = 1024;        // top-k up to here works on a sorted list, one token a thread
constexpr int kRecent = 4096, kMaxBias = 1024, kMaxTop = 20;
constexpr int kSlice = (kVocabulary + kSlices - 1) / kSlices;    // logits of a slice
static_assert(kVocabulary % 4 == 0 && kVocabulary <= kBins * kIdsPerBin, "bins must hold every token");
static_assert(kListed <= kSampleThreads && kListed + kIdsPerBin <= kCandidates && 2 * kSampleThreads == kBins, "two bins a thread");

struct SlotSettings {            // one per slot; written by the host, 64 bytes
  float temperature, top_p, min_p, repeat_penalty, presence_penalty, frequency_penalty;
  int top_k, penalty_tokens, bias_count, top_logprobs, want_logprob, reserved;
  uint32_t seed_low, seed_high, drawn, recent_count;
};
struct Result {                  // 176 bytes, in pinned host memory
  int id;
  float logprob;
  int top_count, sequence;
  int top_id[kMaxTop];
  float top_logprob[kMaxTop];
};
struct SampleArgs {
  float* logits;                 // [batch][vocabulary]; changed
  const float4* slices;          // [batch][kSlices] {max, index of max, sum of exp(l - max), 0}
  SlotSettings* settings;
  int* recent;                   // [slot][kRecent], a ring
  const int* bias_id;            // [slot][kMaxBias]
  const float* bias_value;
  const uint32_t* masks;         // [batch][mask words]
  const int* batch_slot;
  const int* batch_mask;         // 1 where the sequence has a mask
  int* slot_token;
  int* slot_position;
  const int* batch_position;     // position of the sampled token; null: the slot's own plus one
  float2* changed;               // [batch][kRecent + kMaxBias] {token bits, logit before}
  Result* results;               // [ring][32]
  unsigned int* counter;         // {steps sampled, blocks done}
  int ring;
};

extern "C" __global__ void __launch_bounds__(256) scan_logits(const float* logits, float4* slices) {
  __shared__ float maxima[8], sums[8];
  __shared__ int indices[8];
  pdl_launch();
  pdl_wait();
  const float* row = logits + (size_t)blockIdx.y * kVocabulary;
  const int from = blockIdx.x * kSlice, to = min(kVocabulary, from + kSlice);
  float maximum = -INFINITY, sum = 0;
  int index = from;
  for (int i = from + threadIdx.x; i < to; i += 256) {
    const float v = __ldcg(row + i);
    if (v > maximum) {
      sum = sum * __expf(maximum - v) + 1.0f;
      maximum = v;
      index = i;
    } else sum += __expf(v - maximum);
  }
  for (int o = 16; o; o >>= 1) {
    const float other = __shfl_xor_sync(~0u, maximum, o), other_sum = __shfl_xor_sync(~0u, sum, o);
    const int other_index = __shfl_xor_sync(~0u, index, o);
    const float top = fmaxf(maximum, other);
    const float mine = maximum == -INFINITY ? 0.0f : sum * __expf(maximum - top), theirs = other == -INFINITY ? 0.0f : other_sum * __expf(other - top);
    sum = mine + theirs;
    if (other > maximum || (other == maximum && other_index < index)) index = other_index;
    maximum = top;
  }
  if ((threadIdx.x & 31) == 0) {
    maxima[threadIdx.x >> 5] = maximum;
    sums[threadIdx.x >> 5] = sum;
    indices[threadIdx.x >> 5] = index;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    float top = maxima[0], total = 0;
    index = indices[0];
    for (int w = 1; w < 8; w++)
      if (maxima[w] > top || (maxima[w] == top && indices[w] < index)) {
        top = maxima[w];
        index = indices[w];
      }
    for (int w = 0; w < 8; w++) total += maxima[w] == -INFINITY ? 0.0f : sums[w] * __expf(maxima[w] - top);
    slices[blockIdx.y * kSlices + blockIdx.x] = make_float4(top, __int_as_float(index), total, 0);
  }
}

/// Uniform in [0, 1) with 24 bits from (seed, draw): two rounds of splitmix64.
__device__ __forceinline__ float uniform(uint64_t seed, uint32_t draw) {
  uint64_t z = seed + 0x9E3779B97F4A7C15ull * (draw + 1ull);
  for (int i = 0; i < 2; i++) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
  }
  return (float)(z >> 40) * 0x1p-24f;
}

struct SampleShared {
  unsigned long long masses[kBins];
  unsigned long long warp_sums[32];
  unsigned long long before_mass, goal;
  unsigned int counts[kBins];
  float value[kCandidates];
  int id[kCandidates];
  float reduce_value[32];
  int reduce_id[32];
  float thread_sums[kSampleThreads];
  int bins[4];
  unsigned int before_count, bin_count;
  int candidates, chosen, changed;
  float raw;
};
static_assert(sizeof(SampleShared) <= 46 * 1024, "kernels.ts asks for this much");
/// Declared where it is used, so that the compiler knows it for shared memory also in functions that are not inlined.
__device__ __forceinline__ SampleShared& shared_state() {
  extern __shared__ __align__(16) uint8_t sample_raw[];
  return *reinterpret_cast<SampleShared*>(sample_raw);
}

/// Largest of (value, lowest id); every thread gets it.
__device__ __forceinline__ void block_best(float& value, int& id) {
  SampleShared& sh = shared_state();
  for (int o = 16; o; o >>= 1) {
    const float v = __shfl_xor_sync(~0u, value, o);
    const int i = __shfl_xor_sync(~0u, id, o);
    if (v > value || (v == value && i < id)) { value = v; id = i; }
  }
  __syncthreads();
  if ((threadIdx.x & 31) == 0) { sh.reduce_value[threadIdx.x >> 5] = value; sh.reduce_id[threadIdx.x >> 5] = id; }
  __syncthreads();
  value = sh.reduce_value[0];
  id = sh.reduce_id[0];
  for (int w = 1; w < 32; w++)
    if (sh.reduce_value[w] > value || (sh.reduce_value[w] == value && sh.reduce_id[w] < id)) { value = sh.reduce_value[w]; id = sh.reduce_id[w]; }
}

__device__ __forceinline__ bool allowed(const uint32_t* mask, int i) { return !mask || (mask[i >> 5] >> (i & 31) & 1); }

/// Sorts the first `count` candidates: largest first, lowest id first among equals. All threads.
__device__ void sort_candidates(int count) {
  SampleShared& sh = shared_state();
  int size = 2;
  while (size < count) size <<= 1;
  for (int i = count + threadIdx.x; i < size; i += kSampleThreads) { sh.value[i] = -INFINITY; sh.id[i] = 0x7fffffff; }
  __syncthreads();
  for (int k = 2; k <= size; k <<= 1)
    for (int j = k >> 1; j; j >>= 1) {
      for (int i = threadIdx.x; i < size; i += kSampleThreads) {
        const int o = i ^ j;
        if (o > i) {
          const bool before = sh.value[o] > sh.value[i] || (sh.value[o] == sh.value[i] && sh.id[o] < sh.id[i]);
          if (before == ((i & k) == 0)) {
            const float v = sh.value[i]; sh.value[i] = sh.value[o]; sh.value[o] = v;
            const int d = sh.id[i]; sh.id[i] = sh.id[o]; sh.id[o] = d;
          }
        }
      }
      __syncthreads();
    }
}

/// Weights relative to the best token's as integers: their sums do not depend on the order.
__device__ __forceinline__ unsigned long long fixed(float weight) { return (unsigned long long)(weight * 1099511627776.0f); }   // 2^40

/// Sum over the threads before this one; `total` over all. All threads.
__device__ unsigned long long scan_block(unsigned long long own, unsigned long long& total) {
  SampleShared& sh = shared_state();
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  unsigned long long upto = own;
  for (int o = 1; o < 32; o <<= 1) {
    const unsigned long long v = __shfl_up_sync(~0u, upto, o);
    if (lane >= o) upto += v;
  }
  __syncthreads();                                                                 // the sums of the call before have been read
  if (lane == 31) sh.warp_sums[warp] = upto;
  __syncthreads();
  unsigned long long before = 0;
  total = 0;
  for (int w = 0; w < 32; w++) {
    if (w < warp) before += sh.warp_sums[w];
    total += sh.warp_sums[w];
  }
  return before + upto - own;
}

template <class Visit> __device__ __forceinline__ void each_logit(const float* logits, const uint32_t* mask, Visit visit) {
  for (int i = threadIdx.x; i < kVocabulary / 4; i += kSampleThreads) {
    const float4 v = __ldcg(reinterpret_cast<const float4*>(logits) + i);
    const uint32_t bits = mask ? mask[i >> 3] >> ((i & 7) * 4) : 15u;
    if (bits & 1) visit(v.x, 4 * i);
    if (bits & 2) visit(v.y, 4 * i + 1);
    if (bits & 4) visit(v.z, 4 * i + 2);
    if (bits & 8) visit(v.w, 4 * i + 3);
  }
}

/// Bins part tokens by how far they lie below the best: 16 bins a nat, each parted again by 2,048 and again, and at last by ids. `f` is the place
/// among the bins of a level, its fraction the place within a bin.
__device__ __forceinline__ int bin_at(float f, int id, int level) { return level == 3 ? id / kIdsPerBin : min(kBins - 1, (int)f); }
/// Negative: before the bins chosen on the first `depth` levels; 0: in the last of them; `f` is then the place on the next level.
__device__ __forceinline__ int side_of(float away, int id, const int* bins, int depth, float& f) {
  f = away * kBinsPerNat;
  for (int level = 0; level < depth; level++) {
    const int bin = bin_at(f, id, level);
    if (bin != bins[level]) return bin - bins[level];
    f = (f - bin) * kBins;
  }
  return 0;
}

/// Finds where the smallest set of best tokens ends that has `want_count` members or the share `want_share` of the mass (of `of_mass`, or of all when
/// that is 0): the set is all tokens before the chosen bins (sh.before_count of them, sh.before_mass together) and some first ones of the last bin.
/// That bin's tokens (with `list_all`, those before it too) come to lie sorted in shared memory; returns how many. `want_share` 1 or more: by count.
__device__ __noinline__ int cut(const float* logits, const uint32_t* mask, float best, unsigned want_count, float want_share,
                                unsigned long long of_mass, bool list_all) {
  SampleShared& sh = shared_state();
  unsigned long long goal = ~0ull, before_mass = 0;
  unsigned before_count = 0;
  int depth = 0;
  while (true) {
    for (int i = threadIdx.x; i < kBins; i += kSampleThreads) { sh.counts[i] = 0; sh.masses[i] = 0; }
    __syncthreads();
    each_logit(logits, mask, [&](float v, int i) {
      float f;
      if (!(v <= best) || side_of(best - v, i, sh.bins, depth, f)) return;
      const int bin = bin_at(f, i, depth);
      atomicAdd(&sh.counts[bin], 1u);
      if (!list_all) atomicAdd(&sh.masses[bin], fixed(__expf(v - best)));
    });
    __syncthreads();
    const int bin = 2 * threadIdx.x;
    const unsigned long long counts[2] = {sh.counts[bin], sh.counts[bin + 1]}, masses[2] = {sh.masses[bin], sh.masses[bin + 1]};
    unsigned long long total;
    unsigned long long count = before_count + scan_block(counts[0] + counts[1], total);
    unsigned long long mass = before_mass + scan_block(masses[0] + masses[1], total);
    if (depth == 0 && want_share < 1.0f) goal = max(1ull, (unsigned long long)((double)(of_mass ? of_mass : total) * want_share));
    // One bin is the first to reach what is wanted. None does when fewer tokens are allowed than wanted: then all are kept.
    for (int half = 0; half < 2; half++) {
      const bool was_there = count >= want_count || mass >= goal;
      const bool is_there = count + counts[half] >= want_count || mass + masses[half] >= goal || bin + half == kBins - 1;
      if (!was_there && is_there) {
        sh.bins[depth] = bin + half;
        sh.bin_count = (unsigned)counts[half];
        sh.before_count = (unsigned)count;
        sh.before_mass = mass;
        sh.goal = goal;
      }
      count += counts[half];
      mass += masses[half];
    }
    __syncthreads();
    before_count = sh.before_count;
    before_mass = sh.before_mass;
    depth++;
    if (depth == 4 || sh.bin_count + (list_all ? before_count : 0) <= kCandidates) break;
  }
  if (threadIdx.x == 0) sh.candidates = 0;
  __syncthreads();
  each_logit(logits, mask, [&](float v, int i) {
    float f;
    if (!(v <= best)) return;
    const int side = side_of(best - v, i, sh.bins, depth, f);
    if (side > 0 || (side < 0 && !list_all)) return;
    const int at = atomicAdd(&sh.candidates, 1);
    if (at < kCandidates) { sh.value[at] = v; sh.id[at] = i; }
  });
  __syncthreads();
  const int count = min(sh.candidates, kCandidates);
  sort_candidates(count);
  return count;
}

/// After a cut without `list_all`: how many of the bin's sorted tokens belong to the set, at least 1; `mass` becomes the mass of the set.
__device__ int taken(int count, float best, unsigned want_count, unsigned long long& mass) {
  SampleShared& sh = shared_state();
  const int place = 2 * threadIdx.x;
  unsigned long long masses[2], total;
  for (int half = 0; half < 2; half++) masses[half] = place + half < count ? fixed(__expf(sh.value[place + half] - best)) : 0;
  unsigned long long before = sh.before_mass + scan_block(masses[0] + masses[1], total);
  if (threadIdx.x == 0) { sh.chosen = 0; sh.masses[0] = 0; }
  __syncthreads();
  for (int half = 0; half < 2; half++) {
    if (place + half < count && (place + half == 0 || (sh.before_count + place + half < want_count && before < sh.goal))) {
      atomicAdd(&sh.chosen, 1);
      atomicAdd(&sh.masses[0], masses[half]);
    }
    before += masses[half];
  }
  __syncthreads();
  mass = sh.before_mass + sh.masses[0];
  return sh.chosen;
}

/// Lists the `want` largest of unchanged logits as cut() does, but reads `want` of the slices instead of everything twice: those with the largest
/// maxima, as so many tokens are at least as large as the last of these. Returns how many it found, or 0 where too many are equal. All threads.
__device__ __noinline__ int list_best(const float* logits, const float4* slices, int want) {
  SampleShared& sh = shared_state();
  const int tid = threadIdx.x;
  const float maximum = tid < kSlices ? __ldcg(slices + tid).x : 0.0f;
  __syncthreads();                                                                 // whoever used the candidates before is done
  if (tid < kSlices) sh.value[tid] = maximum;
  if (tid == 0) sh.candidates = 0;
  __syncthreads();
  if (tid < kSlices) {
    int rank = 0;
#pragma unroll 8
    for (int i = 0; i < kSlices; i++) rank += sh.value[i] > maximum || (sh.value[i] == maximum && i < tid);
    if (rank < want) sh.counts[rank] = tid;
    if (rank == want - 1) sh.raw = maximum;
  }
  __syncthreads();
  const float least = sh.raw;
  constexpr int kAtOnce = 8;
#pragma unroll 1
  for (int from = tid; from < want * kSlice; from += kAtOnce * kSampleThreads) {
    float v[kAtOnce];
    int id[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; i++) {
      const int place = from + i * kSampleThreads;
      id[i] = place < want * kSlice ? (int)sh.counts[place / kSlice] * kSlice + place % kSlice : kVocabulary;
      v[i] = id[i] < kVocabulary ? __ldcg(logits + id[i]) : -INFINITY;
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; i++) {
      if (id[i] >= kVocabulary || !(v[i] >= least)) continue;
      const int at = atomicAdd(&sh.candidates, 1);
      if (at < kCandidates) { sh.value[at] = v[i]; sh.id[at] = id[i]; }
    }
  }
  __syncthreads();
  const int count = sh.candidates;
  if (count > kCandidates) return 0;
  sort_candidates(count);
  return count;
}

extern "C" __global__ void __launch_bounds__(kSampleThreads, 1) sample_token(const SampleArgs args) {
  SampleShared& sh = shared_state();
  const int b = blockIdx.x, tid = threadIdx.x, slot = args.batch_slot[b];
  pdl_launch();
  pdl_wait();
  const unsigned step = __ldcg(args.counter);
  if (slot >= 0) {
    float* logits = args.logits + (size_t)b * kVocabulary;
    SlotSettings* settings = args.settings + slot;
    const SlotSettings s = *settings;
    const uint32_t* mask = args.batch_mask[b] ? args.masks + (size_t)b * ((kVocabulary + 31) / 32) : nullptr;
    Result* result = args.results + (size_t)(step % args.ring) * 32 + b;

    // Every warp merges the slices for itself.
    float best = -INFINITY, raw_sum = 0;
    int id = 0x7fffffff;
    float4 slice[kSlices / 32];
#pragma unroll
    for (int i = 0; i < kSlices / 32; i++) {
      slice[i] = __ldcg(args.slices + b * kSlices + i * 32 + (tid & 31));
      const int index = __float_as_int(slice[i].y);
      if (slice[i].x > best || (slice[i].x == best && index < id)) { best = slice[i].x; id = index; }
    }
    for (int o = 16; o; o >>= 1) {
      const float v = __shfl_xor_sync(~0u, best, o);
      const int i = __shfl_xor_sync(~0u, id, o);
      if (v > best || (v == best && i < id)) { best = v; id = i; }
    }
#pragma unroll
    for (int i = 0; i < kSlices / 32; i++) raw_sum += slice[i].z * __expf(slice[i].x - best);
    raw_sum = warp_sum(raw_sum);
    const float log_sum = best + __logf(raw_sum);

    // The `want` best tokens, sorted; `is_scanned`: of the logits as the slices saw them.
    auto best_tokens = [&](int want, bool is_scanned, const uint32_t* mask) {
      const int listed = is_scanned && want <= kSlices ? list_best(logits, args.slices + b * kSlices, want) : 0;
      return min(listed > 0 ? listed : cut(logits, mask, best, want, 2.0f, 0, true), want);
    };
    if (s.top_logprobs > 0) {
      const int count = best_tokens(s.top_logprobs, true, nullptr);
      if (tid < count) { result->top_id[tid] = sh.id[tid]; result->top_logprob[tid] = sh.value[tid] - log_sum; }
      if (tid == 0) result->top_count = count;
      __syncthreads();
    }

    // Biases, of distinct tokens; then penalties, for each distinct token of the window once.
    float2* changed = args.changed + (size_t)b * (kRecent + kMaxBias);
    for (int i = tid; i < s.bias_count; i += kSampleThreads) {
      const int token = args.bias_id[slot * kMaxBias + i];
      changed[i] = make_float2(__int_as_float(token), logits[token]);
      logits[token] += args.bias_value[slot * kMaxBias + i];
    }
    const int window = min(min(s.penalty_tokens, (int)s.recent_count), kRecent);
    const bool penal = window > 0 && (s.repeat_penalty != 1.0f || s.presence_penalty != 0.0f || s.frequency_penalty != 0.0f);
    if (tid == 0) sh.changed = s.bias_count;
    __threadfence_block();
    __syncthreads();
    if (penal) {
      const int* recent = args.recent + (size_t)slot * kRecent;
      for (int i = tid; i < window; i += kSampleThreads) {
        const int token = recent[(s.recent_count - 1 - i) % kRecent];
        int count = 0;
        bool first = true;
        for (int j = 0; j < window; j++)
          if (recent[(s.recent_count - 1 - j) % kRecent] == token) {
            count++;
            if (j < i) first = false;
          }
        if (!first) continue;
        const float before = logits[token];
        float v = before > 0 ? before / s.repeat_penalty : before * s.repeat_penalty;
        v -= s.presence_penalty + s.frequency_penalty * count;
        logits[token] = v;
        changed[atomicAdd(&sh.changed, 1)] = make_float2(__int_as_float(token), before);
      }
      __threadfence_block();
      __syncthreads();
    }
    const int changes = sh.changed;

    if (changes > 0 || mask) {
      best = -INFINITY;
      id = 0x7fffffff;
      for (int i = tid; i < kVocabulary; i += kSampleThreads) {
        const float v = __ldcg(logits + i);
        if (allowed(mask, i) && (v > best || (v == best && i < id))) { best = v; id = i; }
      }
      block_best(best, id);
      if (id == 0x7fffffff) id = 0;                                                // a grammar that allows nothing: the host refuses such masks
    }

    const float least = s.min_p > 0.0f ? best + logf(s.min_p) : -INFINITY;          // min-p in logits
    if (s.temperature > 0.0f && s.top_k > 0 && s.top_k <= kListed) {
      // A sorted list, one token a thread: top-p, min-p and the draw need nothing else.
      const int count = best_tokens(s.top_k, changes == 0 && !mask, mask);
      const float v = tid < count ? sh.value[tid] : -INFINITY, scale = 1.0f / s.temperature;
      unsigned long long total;
      const unsigned long long mass_before = scan_block(tid < count ? fixed(__expf(v - best)) : 0, total);
      const bool in_share = tid == 0 || s.top_p >= 1.0f || (double)mass_before < (double)total * s.top_p;
      const unsigned long long weight = tid < count && in_share && v >= least ? fixed(__expf((v - best) * scale)) : 0;
      const unsigned long long weight_before = scan_block(weight, total);
      const unsigned long long target = (unsigned long long)((double)total * uniform((uint64_t)s.seed_high << 32 | s.seed_low, s.drawn));
      if (target >= weight_before && target < weight_before + weight) sh.chosen = sh.id[tid];
      __syncthreads();
      id = sh.chosen;
    } else if (s.temperature > 0.0f) {
      const float scale = 1.0f / s.temperature;
      // The set to draw from: value above `edge`, or equal to it with id up to `edge_id`.
      float edge = -INFINITY;
      int edge_id = 0x7fffffff;
      const unsigned most = s.top_k > 0 ? s.top_k : kVocabulary;
      if (s.top_k > 0 || s.top_p < 1.0f) {
        unsigned long long mass = 0;
        int last = 0, count = 0;
        if (s.top_k > 0) {
          count = cut(logits, mask, best, most, 2.0f, 0, false);
          last = taken(count, best, most, mass) - 1;
        }
        // top-p is a share of what top-k left.
        if (s.top_p < 1.0f) {
          __syncthreads();
          count = cut(logits, mask, best, most, s.top_p, mass, false);
          last = taken(count, best, most, mass) - 1;
        }
        if (count > 0) { edge = sh.value[last]; edge_id = sh.id[last]; }
        __syncthreads();
      }
      if (least > edge) { edge = least; edge_id = 0x7fffffff; }
      auto weight = [&](int i) {
        const float v = __ldcg(logits + i);
        if (!allowed(mask, i) || v < edge || (v == edge && i > edge_id)) return 0.0f;
        return __expf((v - best) * scale);
      };
      // Cumulative order: by thread, then by position in the thread's strided share.
      float sum = 0;
      for (int i = tid; i < kVocabulary; i += kSampleThreads) sum += weight(i);
      sh.thread_sums[tid] = sum;
      if (tid == 0) sh.chosen = -1;
      __syncthreads();
      // Warp 0 finds the thread whose share holds the target, then searches that share.
      if (tid < 32) {
        float mine = 0;
        for (int i = 0; i < 32; i++) mine += sh.thread_sums[tid * 32 + i];
        float before = mine;
        for (int o = 1; o < 32; o <<= 1) {
          const float v = __shfl_up_sync(~0u, before, o);
          if (tid >= o) before += v;
        }
        const float total = __shfl_sync(~0u, before, 31);
        float target = uniform((uint64_t)s.seed_high << 32 | s.seed_low, s.drawn) * total;
        before -= mine;
        unsigned holders = __ballot_sync(~0u, mine > 0.0f && target >= before);
        const int group = holders ? 31 - __clz(holders) : 0;
        target -= __shfl_sync(~0u, before, group);
        const float one = sh.thread_sums[group * 32 + tid];
        float running = one;
        for (int o = 1; o < 32; o <<= 1) {
          const float v = __shfl_up_sync(~0u, running, o);
          if (tid >= o) running += v;
        }
        running -= one;
        holders = __ballot_sync(~0u, one > 0.0f && target >= running);
        const int member = holders ? 31 - __clz(holders) : 0, owner = group * 32 + member;
        target -= __shfl_sync(~0u, running, member);
        int found = -1, last = -1;
        for (int base = 0; base * kSampleThreads + owner < kVocabulary; base += 32) {
          const int i = (base + tid) * kSampleThreads + owner;
          const float w = i < kVocabulary ? weight(i) : 0.0f;
          float upto = w;
          for (int o = 1; o < 32; o <<= 1) {
            const float v = __shfl_up_sync(~0u, upto, o);
            if (tid >= o) upto += v;
          }
          const unsigned some = __ballot_sync(~0u, w > 0.0f), hit = __ballot_sync(~0u, w > 0.0f && upto > target);
          if (hit && found < 0) found = (base + __ffs(hit) - 1) * kSampleThreads + owner;
          if (some) last = (base + 31 - __clz(some)) * kSampleThreads + owner;
          target -= __shfl_sync(~0u, upto, 31);
          if (found >= 0) break;
        }
        if (tid == 0) sh.chosen = found >= 0 ? found : last;
      }
      __syncthreads();
      if (sh.chosen >= 0) id = sh.chosen;
    }

    // The chosen token's own logit, before anything was changed. A token both biased and penalised was changed twice: the bias knew it first.
    __syncthreads();
    if (tid == 0) sh.raw = __ldcg(logits + id);
    __syncthreads();
    for (int i = s.bias_count + tid; i < changes; i += kSampleThreads)
      if (__float_as_int(changed[i].x) == id) sh.raw = changed[i].y;
    __syncthreads();
    for (int i = tid; i < s.bias_count; i += kSampleThreads)
      if (__float_as_int(changed[i].x) == id) sh.raw = changed[i].y;
    __syncthreads();
    if (tid == 0) {
      result->id = id;
      result->logprob = sh.raw - log_sum;
      if (s.top_logprobs == 0) result->top_count = 0;
      args.slot_token[slot] = id;
      args.slot_position[slot] = args.batch_position ? args.batch_position[b] : args.slot_position[slot] + 1;
      args.recent[(size_t)slot * kRecent + s.recent_count % kRecent] = id;
      settings->recent_count = s.recent_count + 1;
      settings->drawn = s.drawn + 1;
      __threadfence_system();
      result->sequence = (int)step;
    }
  }
  if (tid == 0) {
    // The last block of the step moves the ring on; the others have read its place already.
    __threadfence();
    if (atomicInc(args.counter + 1, gridDim.x - 1) == gridDim.x - 1) args.counter[0] = step + 1;
  }
}
