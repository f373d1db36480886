// One PTX file holds all kernels of a model shape.
#include "glue.cu"
#include "repack.cu"
#include "gemv_w4a8.cu"
#include "gemm_batch_w4a8.cu"
#include "gemm_prefill_w4a16.cu"
#include "decode_layers.cu"
#include "attention_prefill.cu"
#include "sample.cu"
