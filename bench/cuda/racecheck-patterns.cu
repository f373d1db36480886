// Four correct ways to share memory and one race, to see what compute-sanitizer's racecheck says of each: decode_layers uses the first and the last of the four.
//   nvcc -arch=sm_90 -O2 -o patterns bench/cuda/racecheck-patterns.cu
//   compute-sanitizer --tool racecheck --kernel-name kne=named_two ./patterns
#include <cstdint>
#include <cstdio>

__device__ __forceinline__ uint32_t address(const void* p) { return (uint32_t)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void arrive(uint64_t* bar) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address(bar)) : "memory"); }
__device__ __forceinline__ void copy(void* to, const void* from, uint32_t bytes, uint64_t* bar) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address(bar)), "r"(bytes) : "memory");
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(address(to)),
               "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(address(bar))
               : "memory");
}
template <bool TRY> __device__ __forceinline__ bool passed(uint64_t* bar, uint32_t parity) {
  uint32_t done;
  if (TRY)
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(done) : "r"(address(bar)), "r"(parity) : "memory");
  else
    asm volatile("{\n.reg .pred p;\nmbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(done) : "r"(address(bar)), "r"(parity) : "memory");
  return done;
}

constexpr int kWarps = 8, kSlots = 3, kRounds = 40, kBytes = 4096, kBlock = 32 * (kWarps + 1);
struct Shared {
  uint8_t slots[kWarps][kSlots][kBytes];
  uint64_t full[kWarps][kSlots], empty[kWarps][kSlots];
  float warps[kWarps], threads[32 * kWarps];
};
extern __shared__ __align__(128) uint8_t raw[];

/// A ninth warp fills slots by bulk copies; a warp that has read its slot hands it back through an mbarrier.
template <bool TRY> __device__ __forceinline__ void ring(const uint8_t* in, uint32_t* out) {
  Shared& s = *reinterpret_cast<Shared*>(raw);
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  if (threadIdx.x < 2 * kWarps * kSlots) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address(&s.full[0][0] + threadIdx.x)) : "memory");
    asm volatile("fence.proxy.async;" ::: "memory");
  }
  __syncthreads();
  if (warp == kWarps) {
    if (lane < kWarps)
      for (int n = 0; n < kRounds; n++) {
        while (n >= kSlots && !passed<TRY>(&s.empty[lane][n % kSlots], (n / kSlots - 1) & 1)) {}
        copy(s.slots[lane][n % kSlots], in + (n * kWarps + lane) * kBytes, kBytes, &s.full[lane][n % kSlots]);
      }
    return;
  }
  uint32_t sum = 0;
  for (int n = 0; n < kRounds; n++) {
    while (!passed<true>(&s.full[warp][n % kSlots], (n / kSlots) & 1)) {}
    for (int i = lane; i < kBytes / 4; i += 32) sum += reinterpret_cast<uint32_t*>(s.slots[warp][n % kSlots])[i];
    __syncwarp();
    if (lane == 0) arrive(&s.empty[warp][n % kSlots]);
  }
  out[threadIdx.x] = sum;
}
extern "C" __global__ void ring_test_wait(const uint8_t* in, uint32_t* out) { ring<false>(in, out); }
extern "C" __global__ void ring_try_wait(const uint8_t* in, uint32_t* out) { ring<true>(in, out); }

/// Eight of nine warps meet at a named barrier before they read what the others wrote and after it; with TWO, four of them at another in between.
template <bool TWO> __device__ __forceinline__ void named(uint32_t* out) {
  Shared& s = *reinterpret_cast<Shared*>(raw);
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  __syncthreads();
  if (warp == kWarps) {
    for (int i = 0; i < 2000; i++) __nanosleep(100);
    return;
  }
  float sum = 0;
  for (int n = 0; n < 400; n++) {
    s.threads[threadIdx.x] = n + threadIdx.x;
    if (lane == 0) s.warps[warp] = n;
    asm volatile("bar.sync 1, 256;" ::: "memory");
    for (int i = 0; i < kWarps; i++) sum += s.warps[i] + s.threads[(threadIdx.x + 32 * i) & 255];
    if (TWO && warp < 4) asm volatile("bar.sync 3, 128;" ::: "memory");
    asm volatile("bar.sync 1, 256;" ::: "memory");
  }
  out[threadIdx.x] = sum;
}
extern "C" __global__ void named_one(uint32_t* out) { named<false>(out); }
extern "C" __global__ void named_two(uint32_t* out) { named<true>(out); }

extern "C" __global__ void racy(uint32_t* out) {
  Shared& s = *reinterpret_cast<Shared*>(raw);
  s.threads[threadIdx.x] = threadIdx.x;
  out[threadIdx.x] = s.threads[255 - threadIdx.x];
}

int main() {
  uint8_t* in;
  uint32_t* out;
  cudaMalloc(&in, kRounds * kWarps * kBytes);
  cudaMalloc(&out, kBlock * 4);
  cudaMemset(in, 1, kRounds * kWarps * kBytes);
  for (const void* kernel : {(void*)ring_test_wait, (void*)ring_try_wait, (void*)named_one, (void*)named_two, (void*)racy})
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)sizeof(Shared));
  ring_test_wait<<<132, kBlock, sizeof(Shared)>>>(in, out);
  ring_try_wait<<<132, kBlock, sizeof(Shared)>>>(in, out);
  named_one<<<132, kBlock, sizeof(Shared)>>>(out);
  named_two<<<132, kBlock, sizeof(Shared)>>>(out);
  racy<<<1, 256, sizeof(Shared)>>>(out);
  printf("%s\n", cudaGetErrorString(cudaDeviceSynchronize()));
}
