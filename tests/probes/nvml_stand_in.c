/* Stands in for NVIDIA's libraries, which no machine of the tests has: as much
   of each as onnxbench/probes calls, with the signatures of nvml.h and cuda.h. It shows that our
   calls pass and read what they mean to; whether NVIDIA's own answer so, it cannot show.
   STAND_IN_USED: bytes used on the device; STAND_IN_PROCESSES: "pid:bytes,…", bytes -1 hidden;
   STAND_IN_FREE: bytes that CUDA has free. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process_t;
static int device;

static unsigned long long number(const char *name) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

int nvmlInit_v2(void) { return getenv("STAND_IN_BROKEN") ? 9 : 0; }
const char *nvmlErrorString(int code) {
    return code == 3 ? "Not Supported" : code == 9 ? "Driver Not Loaded" : "Unknown Error";
}
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "580.1", size); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13010; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = &device; return index ? 2 : 0;
}
int nvmlDeviceGetName(void *handle, char *text, unsigned size) {
    strncpy(text, "Stand-in GPU", size); return handle != &device;
}
int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) {
    strncpy(text, "GPU-secret", size); return handle != &device;
}
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    *major = 9; *minor = 0; return handle != &device;
}
int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
    memory->total = 80000000000ULL; memory->used = number("STAND_IN_USED");
    memory->free = memory->total - memory->used;
    return handle != &device;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, process_t *rows) {
    const char *text = getenv("STAND_IN_PROCESSES");
    unsigned found = 0;
    while (text && *text && found < *count) {
        char *rest;
        rows[found].pid = (unsigned)strtoul(text, &rest, 10);
        rows[found].used = (unsigned long long)strtoll(rest + 1, &rest, 10);
        found++;
        text = *rest ? rest + 1 : rest;
    }
    *count = found;
    return handle != &device;
}
int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *mw) { *mw = 700000; return handle != &device; }
int nvmlDeviceGetPowerUsage(void *handle, unsigned *mw) { *mw = 69500; return handle != &device; }
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *mj) {
    *mj = 1ULL << 40; return handle != &device;
}
int nvmlDeviceGetClockInfo(void *handle, int which, unsigned *mhz) {
    *mhz = which == 1 ? 345 : 2619; return handle != &device;
}
int nvmlDeviceGetMaxClockInfo(void *handle, int which, unsigned *mhz) {
    *mhz = which == 1 ? 1980 : 2619; return handle != &device;
}
int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *celsius) {
    *celsius = 31; return handle != &device || sensor;
}
int nvmlDeviceGetPersistenceMode(void *handle, int *mode) { (void)handle; (void)mode; return 3; }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *bits) {
    *bits = 0x1 | 0x40; return handle != &device;
}

int cuInit(unsigned flags) { return flags; }
int cuDeviceGet(int *ordinal, int index) { *ordinal = 5; return index; }
int cuDevicePrimaryCtxRetain(void **context, int ordinal) { *context = &device; return ordinal != 5; }
int cuCtxPushCurrent_v2(void *context) { return context != &device; }
int cuMemGetInfo_v2(size_t *free, size_t *total) {
    *free = number("STAND_IN_FREE"); *total = 80000000000ULL; return 0;
}
int cuCtxPopCurrent_v2(void **context) { *context = &device; return 0; }
int cuDevicePrimaryCtxRelease_v2(int ordinal) { return ordinal != 5; }
