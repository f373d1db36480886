// The norm in front of a prompt's products.
#include "prompt.cuh"

constexpr int kNormThreads = 256;

struct NormArgs {
  const float* x;
  const float* gain;
  __half* out;
  float epsilon;
};

/// Prompts: out[i] = f16(norm(x[i]) * gain). Grid (tokens), kNormThreads threads.
extern "C" __global__ void __launch_bounds__(kNormThreads) norm_rows_f16(const NormArgs args) {
  pdl_launch();
  pdl_wait();
  __shared__ float scratch[kNormThreads / 32];
  constexpr int kSteps = (kHidden + 4 * kNormThreads - 1) / (4 * kNormThreads);
  const float* row = args.x + (size_t)blockIdx.x * kHidden;
  float4 v[kSteps];
  float squares = 0;
#pragma unroll
  for (int s = 0; s < kSteps; s++) {
    const int i = (s * kNormThreads + threadIdx.x) * 4;
    if (i < kHidden) {
      v[s] = *reinterpret_cast<const float4*>(row + i);
      squares += v[s].x * v[s].x + v[s].y * v[s].y + v[s].z * v[s].z + v[s].w * v[s].w;
    }
  }
  squares = warp_sum(squares);
  if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = squares;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int i = 0; i < kNormThreads / 32; i++) total += scratch[i];
  const float r = rsqrtf(total / kHidden + args.epsilon);
#pragma unroll
  for (int s = 0; s < kSteps; s++) {
    const int i = (s * kNormThreads + threadIdx.x) * 4;
    if (i < kHidden) {
      const float4 w = *reinterpret_cast<const float4*>(args.gain + i);
      *reinterpret_cast<uint32_t*>(args.out + prompt_at<kHidden>(blockIdx.x, i)) = half2_bits(v[s].x * r * w.x, v[s].y * r * w.y);
      *reinterpret_cast<uint32_t*>(args.out + prompt_at<kHidden>(blockIdx.x, i + 2)) = half2_bits(v[s].z * r * w.z, v[s].w * r * w.w);
    }
  }
}
