// A CUDA driver without a GPU, for measuring what the native engine costs its own process: every call succeeds and nothing is computed.
// The stream is a clock: a graph takes IDLE_GRAPH_US microseconds (0 when absent) for each decode step in it, behind what was launched before
// it, all else takes no time, and waiting for an event sleeps until its moment has come. Sampled tokens are always 0.
//
//   gcc -O2 -shared -fPIC -o FOLDER/libcuda.so.1 bench/cuda/idle-driver.c
//   LD_LIBRARY_PATH=FOLDER node bench/cuda/run.ts --model FILE.gguf --only engine,http
//
// Times of the host's work are real, times of the device's are the clock's: throughput measured over this driver means nothing.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

typedef uint64_t handle;
#define CALL __attribute__((visibility("default"))) int

enum { success = 0, out_of_memory = 2 };

static int64_t stream_end; // nanoseconds of the monotonic clock
static int is_capturing;
static handle sampling_kernel; // each decode step ends in one
static uint64_t captured_steps;
static int64_t graph_nanoseconds;
static uint64_t allocated;
static const uint64_t total_bytes = 80ull << 30;
static uint64_t next_handle = 1 << 20;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void spend(int64_t nanoseconds) {
  int64_t begin = now();
  if (stream_end > begin) begin = stream_end;
  stream_end = begin + nanoseconds;
}

CALL cuInit(unsigned int flags) {
  (void)flags;
  const char *said = getenv("IDLE_GRAPH_US");
  graph_nanoseconds = said ? (int64_t)(atof(said) * 1000) : 0;
  return success;
}
CALL cuGetErrorString(int status, const char **text) {
  *text = status == out_of_memory ? "out of memory" : "the idle driver knows no errors";
  return success;
}
CALL cuDriverGetVersion(int *version) { *version = 13000; return success; }
CALL cuDeviceGetCount(int *count) { *count = 1; return success; }
CALL cuDeviceGet(int *device, int ordinal) { *device = ordinal; return success; }
CALL cuDeviceGetName(char *name, int bytes, int device) {
  (void)device;
  strncpy(name, "idle driver (no GPU)", (size_t)bytes);
  return success;
}
CALL cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  switch (attribute) { // the numbers of an H100
    case 16: *value = 132; break;
    case 75: *value = 9; break;
    case 76: *value = 0; break;
    case 97: *value = 227 * 1024; break;
    default: *value = 0;
  }
  return success;
}
CALL cuDevicePrimaryCtxRetain(handle *context, int device) { (void)device; *context = 1; return success; }
CALL cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return success; }
CALL cuCtxSetCurrent(handle context) { (void)context; return success; }
CALL cuModuleLoadDataEx(handle *module, void *image, unsigned int count, void *options, void *values) {
  (void)image, (void)count, (void)options, (void)values;
  *module = next_handle++;
  return success;
}
CALL cuModuleUnload(handle module) { (void)module; return success; }
CALL cuModuleGetFunction(handle *function, handle module, const char *name) {
  (void)module;
  *function = next_handle++;
  if (strcmp(name, "sample_token") == 0) sampling_kernel = *function;
  return success;
}
CALL cuFuncSetAttribute(handle function, int attribute, int value) {
  (void)function, (void)attribute, (void)value;
  return success;
}
CALL cuMemGetInfo_v2(uint64_t *free_bytes, uint64_t *total) {
  *free_bytes = total_bytes - allocated;
  *total = total_bytes;
  return success;
}
// Addresses that nobody reads.
CALL cuMemAlloc_v2(handle *address, size_t bytes) {
  static uint64_t next = 1ull << 40;
  *address = next;
  next += (bytes + 511) / 512 * 512;
  allocated += bytes;
  return success;
}
CALL cuMemFree_v2(handle address) { (void)address; return success; }
CALL cuMemHostAlloc(handle *address, size_t bytes, unsigned int flags) {
  (void)flags;
  void *memory = calloc(1, bytes);
  *address = (handle)memory;
  return memory ? success : out_of_memory;
}
CALL cuMemFreeHost(handle address) { free((void *)address); return success; }
CALL cuMemcpyHtoDAsync_v2(handle target, handle source, size_t bytes, handle stream) {
  (void)target, (void)source, (void)bytes, (void)stream;
  return success;
}
CALL cuMemcpyDtoHAsync_v2(handle target, handle source, size_t bytes, handle stream) {
  (void)source, (void)stream;
  memset((void *)target, 0, bytes);
  return success;
}
CALL cuMemsetD8Async(handle target, unsigned char byte, size_t bytes, handle stream) {
  (void)target, (void)byte, (void)bytes, (void)stream;
  return success;
}
CALL cuStreamCreate(handle *stream, unsigned int flags) { (void)flags; *stream = 1; return success; }
CALL cuStreamDestroy_v2(handle stream) { (void)stream; return success; }
CALL cuStreamBeginCapture_v2(handle stream, int mode) {
  (void)stream, (void)mode;
  is_capturing = 1;
  captured_steps = 0;
  return success;
}
// A graph is known by the steps in it: nothing else distinguishes it here.
CALL cuStreamEndCapture(handle stream, handle *graph) {
  (void)stream;
  is_capturing = 0;
  *graph = captured_steps > 0 ? captured_steps : 1;
  return success;
}
CALL cuGraphInstantiateWithFlags(handle *executable, handle graph, uint64_t flags) {
  (void)flags;
  *executable = graph;
  return success;
}
CALL cuGraphLaunch(handle graph, handle stream) {
  (void)stream;
  spend((int64_t)graph * graph_nanoseconds);
  return success;
}
CALL cuGraphDestroy(handle graph) { (void)graph; return success; }
CALL cuGraphExecDestroy(handle graph) { (void)graph; return success; }
CALL cuLaunchKernelEx(void *config, handle function, void *parameters, void *extra) {
  (void)config, (void)parameters, (void)extra;
  if (is_capturing && function == sampling_kernel) captured_steps++;
  return success;
}

CALL cuEventCreate(handle *event, unsigned int flags) {
  (void)flags;
  *event = (handle)calloc(1, sizeof(int64_t));
  return success;
}
CALL cuEventDestroy_v2(handle event) { free((void *)event); return success; }
CALL cuEventRecord(handle event, handle stream) {
  (void)stream;
  if (!is_capturing) *(int64_t *)event = stream_end;
  return success;
}
static void sleep_until(int64_t moment) {
  static __thread int is_exact;
  if (!is_exact) prctl(PR_SET_TIMERSLACK, 1);
  is_exact = 1;
  struct timespec time = {moment / 1000000000ll, moment % 1000000000ll};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0) { // a profiler's signals wake it
  }
}
CALL cuEventSynchronize(handle event) {
  int64_t moment = *(int64_t *)event;
  if (moment > now()) sleep_until(moment);
  return success;
}
CALL cuStreamSynchronize(handle stream) {
  (void)stream;
  if (stream_end > now()) sleep_until(stream_end);
  return success;
}
CALL cuEventElapsedTime(float *milliseconds, handle from, handle to) {
  *milliseconds = (float)(*(int64_t *)to - *(int64_t *)from) / 1e6f;
  return success;
}
