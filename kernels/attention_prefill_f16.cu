// Prompts with a KV cache in f16: the kernels of attention_prefill.cu, on Hopper of attention_prefill_hopper.cu, without conversion and scales.
// attention_merge serves both types.
#pragma once
#if WGMMA
#include "attention_prefill_hopper.cu"
constexpr int kFlashThreadsF16 = kHopperFlashThreads;
#else
#include "attention_prefill.cu"
constexpr int kFlashThreadsF16 = kFlashThreads;
#endif

extern "C" __global__ void __launch_bounds__(256) kv_write_prefill_f16(const KvWriteArgs args) {
  write_prompt<kPageBytesF16>(args, [](uint8_t* page, int token, bool is_key, const HeadVector& x, int lane) {
    if (is_key) store_key_f16(page, token, x, lane);
    else store_value_f16(page, token, x, lane);
  });
}
extern "C" __global__ void __launch_bounds__(kFlashThreadsF16, 1) attention_prefill_f16(const FlashArgs args) { attend_prompt<true>(args); }
