// What blocks tell each other through level 2 without a barrier: results are their own flags. A place holds kEmpty, a NaN that no computation
// gives, until its value is there, and whoever needs it asks until it is. (NCCL's LL protocol flags each word for the same reason.)
#pragma once
#include "common.cuh"

constexpr uint32_t kEmpty = 0xffffffffu;
/// int8 results are stored xored with this: -128 does not occur among them, so no word of them reads kEmpty.
constexpr uint32_t kNever128 = 0x7f7f7f7fu;

__device__ __forceinline__ bool is_full(const uint4& v) { return v.x != kEmpty && v.y != kEmpty && v.z != kEmpty && v.w != kEmpty; }
__device__ __forceinline__ uint4 look(const void* from) {
  uint4 v;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(__cvta_generic_to_global(from))
               : "memory");
  return v;
}
__device__ __forceinline__ uint32_t look_word(const void* from) {
  uint32_t v;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(__cvta_generic_to_global(from)) : "memory");
  return v;
}
__device__ __forceinline__ void tell_word(void* to, uint32_t v) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(to)), "r"(v) : "memory");
}
__device__ __forceinline__ void tell_float(void* to, float v) { tell_word(to, __float_as_uint(v)); }

// Where a place is not used in every step, emptying it for the next one would cost more than using it: there each float comes with a tag that no earlier
// use had. The two are one access of eight bytes, so they arrive together.

__device__ __forceinline__ void tell_tagged(void* to, float a, float b, uint32_t tag) {
  const uint64_t high = (uint64_t)tag << 32, first = high | __float_as_uint(a), second = high | __float_as_uint(b);
  asm volatile("st.relaxed.gpu.global.v2.u64 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(to)), "l"(first), "l"(second) : "memory");
}
struct Tagged { float a, b; bool is_there; };
__device__ __forceinline__ Tagged look_tagged(const void* from, uint32_t tag) {
  uint64_t first, second;
  asm volatile("ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2];" : "=l"(first), "=l"(second) : "l"(__cvta_generic_to_global(from)) : "memory");
  return {__uint_as_float((uint32_t)first), __uint_as_float((uint32_t)second), (uint32_t)(first >> 32) == tag && (uint32_t)(second >> 32) == tag};
}
__device__ __forceinline__ void add_words(float* v, const uint4& words) {
  v[0] += __uint_as_float(words.x);
  v[1] += __uint_as_float(words.y);
  v[2] += __uint_as_float(words.z);
  v[3] += __uint_as_float(words.w);
}
