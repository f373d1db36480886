// gemm_prefill_w4a16: Y = X W^T for the tokens of a prompt, f16 activations, weights turned to f16 fragments in registers from the same tiles as
// decoding. Weights are the left side of the product (16 rows a tile), tokens the columns. A block makes 128 rows x 128 tokens with four warps
// of 64 x 64; a unit's scales are decoded once into shared memory for all of them. Two blocks share a multiprocessor: one converts while the
// other multiplies.
//
// Fragment order: thread t holds inputs 8t .. 8t + 7 of a group of 32. The first product takes 8t .. 8t + 3, the second the rest, on both sides, so
// activations lie in their natural order and one 16-byte load feeds both products.
#include "prefill_weights.cuh"

constexpr int kPrefillThreads = 128, kStepInputs = 64;

struct PrefillArgs {
  const uint8_t* weights;
  const __half* x;       // [tokens][inputs]
  void* out;
  int tokens, out_stride, out_offset;
};

template <int UNITS, int TYPE, PrefillEpilogue EPILOGUE> __device__ __forceinline__ void gemm_prefill(const PrefillArgs& args) {
  constexpr int kInputs = UNITS * 256, kSteps = UNITS * 4, kUnit = kUnitBytes<TYPE>, kStages = 2;
  constexpr int kWeightBytes = 8 * kUnit, kStageBytes = 128 * kStepInputs * 2;
  extern __shared__ __align__(128) uint8_t shared[];
  uint8_t* weights = shared;                                       // two units of eight row tiles
  uint8_t* tokens = weights + 2 * kWeightBytes;                    // kStages of [128 tokens][64] f16, 16-byte pieces xored by (token & 1) * 4
  uint32_t* scales = reinterpret_cast<uint32_t*>(tokens + kStages * kStageBytes);   // Q4: [128 rows][8] {scale, min}; Q6: [128][8] {two halves}

  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
  const int row_half = warp & 1, token_half = warp >> 1;
  const int first_token = blockIdx.x * 128, tile0 = blockIdx.y * 8;

  auto load_weights = [&](int unit) {
    uint8_t* to = weights + (unit & 1) * kWeightBytes;
    const uint8_t* from = args.weights + ((size_t)tile0 * UNITS + unit) * kUnit;
    for (int i = threadIdx.x; i < kWeightBytes / 16; i += kPrefillThreads) {
      const int tile = i / (kUnit / 16), at = i % (kUnit / 16);
      copy16_async(to + i * 16, from + (size_t)tile * UNITS * kUnit + at * 16);
    }
  };
  auto load_tokens = [&](int step) {
    uint8_t* to = tokens + step % kStages * kStageBytes;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int piece = i * kPrefillThreads + threadIdx.x, token = piece >> 3, c = piece & 7;
      const int from = min(first_token + token, args.tokens - 1);
      copy16_async(to + token * 128 + ((c ^ ((token & 1) << 2)) << 4), args.x + (size_t)from * kInputs + step * kStepInputs + c * 8);
    }
  };

  float sums[4][8][4];
#pragma unroll
  for (int a = 0; a < 4; a++)
#pragma unroll
    for (int b = 0; b < 8; b++)
#pragma unroll
      for (int c = 0; c < 4; c++) sums[a][b][c] = 0;

  load_weights(0);
  load_tokens(0);
  copy_commit();
  for (int step = 0; step < kSteps; step++) {
    copy_wait<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < kSteps) load_tokens(step + kStages - 1);
    if ((step & 3) == 0 && step + 4 < kSteps) load_weights(step / 4 + 1);
    copy_commit();
    const uint8_t* unit = weights + (step / 4 & 1) * kWeightBytes;
    if ((step & 3) == 0) {                                        // thread = row: decode the unit's scales for all warps
      const int row = threadIdx.x;
#pragma unroll
      for (int p = 0; p < 4; p++)
        decode_pair_scales<TYPE>(unit + (row >> 4) * kUnit, row & 15, p, [&](int, int group, uint32_t v) { scales[row * 8 + group] = v; });
      __syncthreads();
    }
    const int p = step & 3;
    const uint8_t* stage = tokens + step % kStages * kStageBytes + (token_half * 64 + g) * 128;
#pragma unroll
    for (int e = 0; e < 2; e++) {
      uint4 b[8];
#pragma unroll
      for (int n = 0; n < 8; n++) b[n] = *reinterpret_cast<const uint4*>(stage + n * 1024 + (((e * 4 + t) ^ ((g & 1) << 2)) << 4));
#pragma unroll
      for (int tile = 0; tile < 4; tile++) {
        const uint8_t* of = unit + (row_half * 4 + tile) * kUnit;
        const int row = (row_half * 4 + tile) * 16 + g;
        uint32_t low[4], high[4];
        weight_fragments<TYPE>(of, 2 * p + e, lane, scales[row * 8 + 2 * p + e], scales[(row + 8) * 8 + 2 * p + e], low, high);
#pragma unroll
        for (int n = 0; n < 8; n++) {
          mma_f16(sums[tile][n], low[0], low[1], low[2], low[3], b[n].x, b[n].y);
          mma_f16(sums[tile][n], high[0], high[1], high[2], high[3], b[n].z, b[n].w);
        }
      }
    }
  }
  copy_wait<0>();

#pragma unroll
  for (int tile = 0; tile < 4; tile++) {
    const int row_tile = tile0 + row_half * 4 + tile;
#pragma unroll
    for (int n = 0; n < 8; n++)
#pragma unroll
      for (int c = 0; c < 2; c++) {
        const int token = first_token + token_half * 64 + n * 8 + 2 * t + c;
        if (token >= args.tokens) continue;
        const float v = sums[tile][n][c], v8 = sums[tile][n][2 + c];
        if (EPILOGUE == kSiluHalf) {
          static_cast<__half*>(args.out)[(size_t)token * args.out_stride + row_tile * 8 + g] = __float2half_rn(fminf(fmaxf(silu(v) * v8, -65504.0f), 65504.0f));
        } else {
          float* out = static_cast<float*>(args.out) + (size_t)token * args.out_stride + args.out_offset + row_tile * 16 + g;
          if (EPILOGUE == kAddResidual) {
            out[0] += v;
            out[8] += v8;
          } else {
            out[0] = v;
            out[8] = v8;
          }
        }
      }
  }
}

#define PREFILL_GEMM(name, units, type, epilogue) \
  extern "C" __global__ void __launch_bounds__(kPrefillThreads, 2) name(const PrefillArgs args) { gemm_prefill<units, type, epilogue>(args); }

PREFILL_GEMM(prefill_qkv_q4, kHidden / 256, kQ4, kStore)
PREFILL_GEMM(prefill_qkv_q6, kHidden / 256, kQ6, kStore)
PREFILL_GEMM(prefill_o, kQueryRows / 256, kQ4, kAddResidual)
PREFILL_GEMM(prefill_gate_up, kHidden / 256, kQ4, kSiluHalf)
PREFILL_GEMM(prefill_down_q4, kFeedForward / 256, kQ4, kAddResidual)
PREFILL_GEMM(prefill_down_q6, kFeedForward / 256, kQ6, kAddResidual)
