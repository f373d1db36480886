// From logits to a token, on the device. scan_logits finds each slice's largest logit and the sum of exponentials; sample_token, one block per
// sequence, applies penalties, bias and grammar, draws, and leaves the token where the next step will look for it: in the slot. The host reads a
// copy from pinned memory, later.
//
// Order: penalties, bias, grammar; temperature; top-k; top-p; min-p; draw. Greedy stops after the grammar.
// Draw i of a sequence uses (seed, i) and nothing else, and all sums run in a fixed order (masses are 64-bit integers), so a text depends neither
// on the batch nor on timing. Tokens more than 24 nats (after temperature) below the best are never drawn when top-k or top-p is set.
#include "common.cuh"

constexpr int kSampleThreads = 1024, kSlices = 128, kBins = 2048, kCandidates = 2048;
constexpr float kBinWidth = 24.0f / kBins;
constexpr int kRecent = 4096, kMaxBias = 1024, kMaxTop = 20;

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
  constexpr int kSlice = (kVocabulary + kSlices - 1) / kSlices;
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
  unsigned int counts[kBins];
  unsigned long long masses[kBins];
  float value[kCandidates];
  int id[kCandidates];
  float reduce_value[32];
  int reduce_id[32];
  float thread_sums[kSampleThreads];
  int candidates, cut_bin, chosen;
  float before_mass;
  int before_count, changed;
};

/// Largest of (value, lowest id); every thread gets it.
__device__ __forceinline__ void block_best(float& value, int& id, SampleShared& sh) {
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
__device__ void sort_candidates(int count, SampleShared& sh) {
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

/// Finds the last token (value, id) of the smallest set of best tokens that has `want_count` members or `want_mass` of probability, whichever is
/// smaller, and leaves the candidates around the cut sorted in shared memory: the set is the bins before cut_bin plus the first `take` of them.
__device__ int cut(const float* logits, const uint32_t* mask, float best, float scale, unsigned want_count, float want_share, bool keep_all, SampleShared& sh) {
  for (int i = threadIdx.x; i < kBins; i += kSampleThreads) { sh.counts[i] = 0; sh.masses[i] = 0; }
  if (threadIdx.x == 0) sh.candidates = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < kVocabulary; i += kSampleThreads) {
    const float away = (best - __ldcg(logits + i)) * scale;
    if (!(away < 24.0f) || !allowed(mask, i)) continue;
    const int bin = min(kBins - 1, (int)(away / kBinWidth));
    atomicAdd(&sh.counts[bin], 1u);
    atomicAdd(&sh.masses[bin], (unsigned long long)(__expf(-away) * 1099511627776.0f));     // 2^40
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    unsigned long long total = 0, mass = 0;
    for (int i = 0; i < kBins; i++) total += sh.masses[i];
    unsigned count = 0;
    const double goal = (double)total * want_share;
    int bin = 0;
    for (; bin < kBins - 1; bin++) {
      if (count + sh.counts[bin] >= want_count || (double)(mass + sh.masses[bin]) >= goal) break;
      count += sh.counts[bin];
      mass += sh.masses[bin];
    }
    sh.cut_bin = bin;
    sh.before_count = count;
    sh.before_mass = (float)((goal - (double)mass) / 1099511627776.0);                      // still wanted from the cut bin, in units of exp(-away)
  }
  __syncthreads();
  const int cut_bin = sh.cut_bin;
  for (int i = threadIdx.x; i < kVocabulary; i += kSampleThreads) {
    const float v = __ldcg(logits + i), away = (best - v) * scale;
    if (!(away < 24.0f) || !allowed(mask, i)) continue;
    const int bin = min(kBins - 1, (int)(away / kBinWidth));
    if (keep_all ? bin <= cut_bin : bin == cut_bin) {
      const int at = atomicAdd(&sh.candidates, 1);
      if (at < kCandidates) { sh.value[at] = v; sh.id[at] = i; }
    }
  }
  __syncthreads();
  const int count = min(sh.candidates, kCandidates);
  sort_candidates(count, sh);
  return count;
}

extern "C" __global__ void __launch_bounds__(kSampleThreads, 1) sample_token(const SampleArgs args) {
  extern __shared__ __align__(16) uint8_t raw[];
  SampleShared& sh = *reinterpret_cast<SampleShared*>(raw);
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

    if (s.top_logprobs > 0) {
      // A quarter of the scale: 96 nats, since a sure model's alternatives lie far below.
      const int count = min(cut(logits, nullptr, best, 0.25f, s.top_logprobs, 2.0f, true, sh), s.top_logprobs);
      if (tid < count) { result->top_id[tid] = sh.id[tid]; result->top_logprob[tid] = sh.value[tid] - log_sum; }
      if (tid == 0) result->top_count = count;
      __syncthreads();
    }

    // Penalties: each distinct token of the window once.
    const int window = min(min(s.penalty_tokens, (int)s.recent_count), kRecent);
    const bool penal = window > 0 && (s.repeat_penalty != 1.0f || s.presence_penalty != 0.0f || s.frequency_penalty != 0.0f);
    float2* changed = args.changed + (size_t)b * (kRecent + kMaxBias);
    if (tid == 0) sh.changed = 0;
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
      __syncthreads();
    }
    const int penalised = sh.changed;
    for (int i = tid; i < s.bias_count; i += kSampleThreads) {                    // distinct ids
      const int token = args.bias_id[slot * kMaxBias + i];
      changed[penalised + i] = make_float2(__int_as_float(token), logits[token]);
      logits[token] += args.bias_value[slot * kMaxBias + i];
    }
    __threadfence_block();
    __syncthreads();
    const int changes = penalised + s.bias_count;

    if (changes > 0 || mask) {
      best = -INFINITY;
      id = 0x7fffffff;
      for (int i = tid; i < kVocabulary; i += kSampleThreads) {
        const float v = __ldcg(logits + i);
        if (allowed(mask, i) && (v > best || (v == best && i < id))) { best = v; id = i; }
      }
      block_best(best, id, sh);
      if (id == 0x7fffffff) id = 0;                                                // a grammar that allows nothing: the host refuses such masks
    }

    if (s.temperature > 0.0f) {
      const float scale = 1.0f / s.temperature;
      // The set to draw from: value above `edge`, or equal to it with id up to `edge_id`.
      float edge = -INFINITY;
      int edge_id = 0x7fffffff;
      if (s.top_k > 0 || s.top_p < 1.0f) {
        // top-p is a share of what top-k left, so the mass wanted is known only after top-k: two cuts when both are set.
        float share = s.top_p;
        if (s.top_k > 0 && s.top_p < 1.0f) {
          const int count = cut(logits, mask, best, scale, s.top_k, 2.0f, true, sh), kept = min(count, s.top_k);
          float mass = 0;
          for (int i = tid; i < kept; i += kSampleThreads) mass += __expf((sh.value[i] - best) * scale);
          mass = warp_sum(mass);
          __syncthreads();
          if ((tid & 31) == 0) sh.reduce_value[tid >> 5] = mass;
          __syncthreads();
          mass = 0;
          for (int w = 0; w < 32; w++) mass += sh.reduce_value[w];
          float all = 0;
          for (int i = 0; i < kBins; i++) all += (float)sh.masses[i] * 0x1p-40f;
          share = fminf(1.0f, s.top_p * mass / all);
          __syncthreads();
        }
        const int count = cut(logits, mask, best, scale, s.top_k > 0 ? s.top_k : kVocabulary, share < 1.0f ? share : 2.0f, false, sh);
        if (tid == 0) {
          float wanted = sh.before_mass;
          const int most = (s.top_k > 0 ? s.top_k : kVocabulary) - sh.before_count;
          int take = 0;
          while (take < count) {
            wanted -= __expf((sh.value[take] - best) * scale);
            take++;
            if (take >= most || wanted <= 0.0f) break;
          }
          sh.chosen = max(take, 1) - 1;
        }
        __syncthreads();
        if (count > 0) { edge = sh.value[sh.chosen]; edge_id = sh.id[sh.chosen]; }
        __syncthreads();
      }
      if (s.min_p > 0.0f) {
        const float least = best + s.temperature * __logf(s.min_p);
        if (least > edge) { edge = least; edge_id = 0x7fffffff; }
      }
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

    // The chosen token's own logit, before anything was changed.
    __syncthreads();
    if (tid == 0) sh.before_mass = __ldcg(logits + id);
    __syncthreads();
    for (int i = tid; i < penalised; i += kSampleThreads)
      if (__float_as_int(changed[i].x) == id) sh.before_mass = changed[i].y;
    __syncthreads();
    if (tid == 0) {
      float raw_logit = sh.before_mass;
      bool found = false;
      for (int i = 0; i < penalised && !found; i++) found = __float_as_int(changed[i].x) == id;
      for (int i = penalised; i < changes && !found; i++)
        if (__float_as_int(changed[i].x) == id) { raw_logit = changed[i].y; found = true; }
      result->id = id;
      result->logprob = raw_logit - log_sum;
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
