// The kernels of prompts: portable ones, which also serve GPUs after Hopper, and with WGMMA those that only Hopper has.
#include "attention_prefill.cu"
#include "prompt_norm.cu"
#if WGMMA
#include "attention_prefill_hopper.cu"
#include "gemm_prefill_hopper.cu"
#else
#include "gemm_prefill_w4a16.cu"
#endif
#include "attention_prefill_f16.cu"
