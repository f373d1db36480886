// GGUF blocks to the tiles of tiles.cuh, on the GPU while the file streams in. One block of 256 threads makes one unit: thread k is input k and
// goes through the unit's 16 rows, gathering bits in shared memory. Rows r < 8 of a tile come from `first`, the others from `second`, so gate
// and up interleave by eight for the SiLU epilogue, and an ordinary matrix passes second = first + 8 rows.
#include "tiles.cuh"

struct RepackArgs {
  const uint8_t* first;
  const uint8_t* second;
  uint8_t* out;
  int units;            // along the inputs
  int rows_per_tile;    // source rows of `first` from one tile to the next: 16, or 8 when interleaving
  int first_tile;       // of the output
};

extern "C" __global__ void __launch_bounds__(256) repack_q4(const RepackArgs args) {
  __shared__ uint32_t words[2304 / 4];
  const int tile = blockIdx.x / args.units, u = blockIdx.x % args.units, k = threadIdx.x;
  for (int i = k; i < 2304 / 4; i += 256) words[i] = 0;
  __syncthreads();
  const int group = k >> 5, t = (k & 31) >> 3, e = k & 7;
  for (int r = 0; r < 16; r++) {
    const size_t row = (size_t)tile * args.rows_per_tile + (r & 7);
    const uint8_t* block = (r < 8 ? args.first : args.second) + (row * args.units + u) * 144;
    // Q4_K: byte 32p + i holds group 2p (low nibble) and group 2p + 1 (high nibble).
    const uint32_t q = (block[16 + (group >> 1) * 32 + (k & 31)] >> ((group & 1) * 4)) & 15;
    const int word = (group >> 1) * 128 + ((r & 7) * 4 + t) * 4 + (group & 1) * 2 + (r >> 3);
    atomicOr(words + word, q << ((e & 3) * 8 + (e < 4 ? 0 : 4)));
    if (k < 8) {
      const uint8_t* s = block + 4;
      const uint32_t scale = k < 4 ? s[k] & 63 : (s[k + 4] & 15) | ((s[k - 4] >> 6) << 4);
      const uint32_t least = k < 4 ? s[k + 4] & 63 : (s[k + 4] >> 4) | ((s[k] >> 6) << 4);
      const int bit = (k >> 1) * 24 + (k & 1) * 6;
      const unsigned long long both = (unsigned long long)scale << (bit & 31) , mins = (unsigned long long)least << ((bit + 12) & 31);
      uint32_t* header = words + 512 + r * 4 + 1;
      atomicOr(header + (bit >> 5), (uint32_t)both);
      if (both >> 32) atomicOr(header + (bit >> 5) + 1, (uint32_t)(both >> 32));
      atomicOr(header + ((bit + 12) >> 5), (uint32_t)mins);
      if (mins >> 32) atomicOr(header + ((bit + 12) >> 5) + 1, (uint32_t)(mins >> 32));
    }
    if (k == 8) words[512 + r * 4] = block[0] | block[1] << 8 | block[2] << 16 | (uint32_t)block[3] << 24;
  }
  __syncthreads();
  uint32_t* out = reinterpret_cast<uint32_t*>(args.out + ((size_t)(args.first_tile + tile) * args.units + u) * 2304);
  for (int i = k; i < 2304 / 4; i += 256) out[i] = words[i];
}

extern "C" __global__ void __launch_bounds__(256) repack_q6(const RepackArgs args) {
  __shared__ uint32_t words[3360 / 4];
  const int tile = blockIdx.x / args.units, u = blockIdx.x % args.units, k = threadIdx.x;
  for (int i = k; i < 3360 / 4; i += 256) words[i] = 0;
  __syncthreads();
  const int group = k >> 5, t = (k & 31) >> 3, e = k & 7;
  for (int r = 0; r < 16; r++) {
    const size_t row = (size_t)tile * args.rows_per_tile + (r & 7);
    const uint8_t* block = (r < 8 ? args.first : args.second) + (row * args.units + u) * 210;
    // Q6_K, per half of 128: 32 inputs each from the low nibbles of ql, of ql + 32, then the high nibbles; two bits each of qh.
    const int half = k >> 7, quarter = (k >> 5) & 3, l = k & 31;
    const uint32_t low = (block[half * 64 + (quarter & 1) * 32 + l] >> (quarter & 2 ? 4 : 0)) & 15;
    const uint32_t high = (block[128 + half * 32 + l] >> (quarter * 2)) & 3;
    const uint32_t bits = ((low | high << 4) - 32) & 63;
    const int lane = (r & 7) * 4 + t;
    atomicOr(words + (group >> 1) * 128 + lane * 4 + (group & 1) * 2 + (r >> 3), (bits >> 2) << ((e & 3) * 8 + (e < 4 ? 0 : 4)));
    atomicOr(words + 512 + (group >> 2) * 128 + lane * 4 + (group & 3), (bits & 3) << ((e & 3) * 8 + (e < 4 ? 0 : 4) + (r >> 3) * 2));
    if (k < 16) atomicOr(words + 768 + r * 4 + (k >> 2), (uint32_t)block[192 + k] << ((k & 3) * 8));
    if (k == 16) atomicOr(words + 832 + (r >> 1), (block[208] | (uint32_t)block[209] << 8) << ((r & 1) * 16));
  }
  __syncthreads();
  uint32_t* out = reinterpret_cast<uint32_t*>(args.out + ((size_t)(args.first_tile + tile) * args.units + u) * 3360);
  for (int i = k; i < 3360 / 4; i += 256) out[i] = words[i];
}
