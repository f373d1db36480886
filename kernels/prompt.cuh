// Activations of prompts, f16. The portable kernels keep them as plain rows. Hopper's products want the tiles that they multiply from: 64 tokens by
// 64 inputs, 8 KB in one piece, a token a row of 128 bytes whose 16-byte pieces are xored with token & 7. Of every 32 inputs, input
// 8a + 4j + 2h + b lies at place 16j + 8h + 2a + b: what thread a of a weight fragment holds (see tiles.cuh) then multiplies what wgmma expects there.
#pragma once
#include "tiles.cuh"

#ifndef WGMMA
#define WGMMA 0          // the build sets 1 for sm_90a
#endif

/// Index of an activation in an array of [tokens][INPUTS]. Even inputs and the next one are neighbours in both orders.
template <int INPUTS> __device__ __forceinline__ size_t prompt_at(int token, int input) {
#if WGMMA
  const int piece = (input >> 5 & 1) << 2 | (input >> 2 & 1) << 1 | (input >> 1 & 1);
  return ((size_t)(token >> 6) * (INPUTS / 64) + (input >> 6)) * 4096 + (token & 63) * 64 + ((piece ^ (token & 7)) << 3) + (input >> 3 & 3) * 2 + (input & 1);
#else
  return (size_t)token * INPUTS + input;
#endif
}

/// Moves the running softmax of a thread's two rows on: `top` holds the largest scores the thread has seen, four threads share a row. Gives what
/// earlier results shrink by and what scores are taken from.
__device__ __forceinline__ void advance_softmax(float (&top)[2], float (&maximum)[2], float (&sum)[2], float (&shrink)[2], float (&subtract)[2]) {
#pragma unroll
  for (int r = 0; r < 2; r++) {
    top[r] = fmaxf(top[r], __shfl_xor_sync(~0u, top[r], 1));
    top[r] = fmaxf(top[r], __shfl_xor_sync(~0u, top[r], 2));
    shrink[r] = exp2_fast(maximum[r] - top[r]);
    maximum[r] = top[r];
    subtract[r] = top[r] <= -1e29f ? 0.0f : top[r];      // a row that has seen nothing yet must not count its masked tokens as 1
    sum[r] *= shrink[r];
  }
}
