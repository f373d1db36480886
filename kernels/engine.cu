// One PTX file holds all kernels of a model shape but those of prompts: they are prefill.cu.
#include "glue.cu"
#include "repack.cu"
#include "gemv_w4a8.cu"
#include "gemm_batch_w4a8.cu"
#include "attention_decode.cu"
#include "attention_decode_f16.cu"
#include "decode_layers.cu"
#include "sample.cu"
