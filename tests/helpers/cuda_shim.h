// Just enough of CUDA's language for a host compiler to build a kernel and run it thread by thread.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

using std::max;
using std::min;

struct uchar4 {
    unsigned char x, y, z, w;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct dim3 {
    unsigned int x = 1, y = 1, z = 1;
};
static dim3 blockIdx, threadIdx, blockDim, gridDim;

static inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
static inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float reciprocal(float value) { return 1 / value; }
static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)((((unsigned long long)high << 32) | low) >> (shift & 31));
}
// Four of the eight bytes of low and high, each by its number in four bits of the selector.
static inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    const unsigned long long bytes = ((unsigned long long)high << 32) | low;
    unsigned result = 0;
    for (unsigned k = 0; k < 4; ++k) result |= (unsigned)(bytes >> 8 * (selector >> 4 * k & 7) & 255) << 8 * k;
    return result;
}
template <class T>
static inline T __ldg(const T* at) {
    return *at;
}
static inline unsigned short float16_bits(float value) {
    _Float16 half = (_Float16)value;
    unsigned short bits;
    std::memcpy(&bits, &half, 2);
    return bits;
}

// The threads of a block as coroutines on one thread of the host: each runs up to its next barrier, then the next one.
namespace host {

static ucontext_t scheduler;
static std::vector<ucontext_t> threads;
static unsigned current;

static void barrier() { swapcontext(&threads[current], &scheduler); }

static void run(dim3 grid, unsigned block, std::function<void()> kernel) {
    static const std::function<void()>* body;
    static std::vector<bool> done;
    static const size_t STACK = 64 << 10;
    std::vector<char> stacks(STACK * block);
    threads.resize(block), done.resize(block);
    body = &kernel, gridDim = grid, blockDim = {block, 1, 1};
    for (unsigned number = 0; number < grid.x * grid.y * grid.z; ++number) {
        blockIdx = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
        for (unsigned t = 0; t < block; ++t) {
            getcontext(&threads[t]);
            threads[t].uc_stack.ss_sp = &stacks[STACK * t];
            threads[t].uc_stack.ss_size = STACK;
            threads[t].uc_link = &scheduler;
            makecontext(&threads[t], +[] { (*body)(), done[current] = true; }, 0);
            done[t] = false;
        }
        for (bool any = true; any;) {
            any = false;
            for (current = 0; current < block; ++current) {
                if (done[current]) continue;
                threadIdx = {current, 0, 0}, any = true;
                swapcontext(&scheduler, &threads[current]);
            }
        }
    }
}

}  // namespace host

static inline void __syncthreads() { host::barrier(); }
