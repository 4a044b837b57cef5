// From decoded crop to normalized, mixed batch in one pass: every output pixel is resampled once, from the sample's
// own crop outside the box and from its partner's inside.
//
// Antialiased bilinear: a triangle filter, widened on downscale; pixels beyond the border count as the border's (as in
// DALI's resize; Pillow and torchvision leave them out, which differs in the outermost pixels). Separable: for each
// output row first the vertical taps over the source columns that the row needs, then the horizontal taps. Float32
// throughout, no rounding in between. The taps themselves are in resample_any.h and resample_avx512.h.
//
// Plain C interface, called through ctypes (which releases the GIL) by as many threads as there are cores.

#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 11 && !defined(__clang__)
#define X86
#include <immintrin.h>
#if __GNUC__ >= 12
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else  // which does not know these names here
#define FOR_EACH_CPU __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#endif
#else
#define FOR_EACH_CPU
#endif

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#define INLINE static inline __attribute__((always_inline))

namespace {

enum Dtype { FLOAT32 = 0, FLOAT16 = 1, BFLOAT16 = 2 };

struct Sample {  // SAMPLE in batch.py
    const uint8_t* pixels;  // RGB; what is taken of the image begins here
    int height, width;
    int partner, x1, y1, x2, y2, flip, weight;  // its plan row, see plan.py
    int pitch;                                  // bytes from a row of the image to the next
};

struct Output {
    void* data;  // n · 3 · size · size values
    int size, dtype, channels_last;
    float scale[3], shift[3];  // normalized = value · scale + shift
    int simple;                // use resample_any.h whatever the CPU
};

const int PAD = 16;  // tables and buffers are read and written this far beyond their ends

// For each output position the first source index, the number of taps, and their weights, tap by tap.
struct Taps {
    std::vector<int> first, count;
    std::vector<float> weights;
    int stride = 0, most = 0;  // most: the largest number of taps
    float ratio = 0;

    // Not inlined into code for one kind of CPU: the weights are the same on all.
    __attribute__((noinline)) void compute(int in, int out, bool flip) {
        ratio = (float)in / out;
        const float support = ratio > 1 ? ratio : 1, step = 1 / support;
        stride = out + PAD, most = 0;
        first.resize(stride), count.resize(stride);
        weights.assign((size_t)stride * (2 * (int)std::ceil(support) + 2), 0);
        for (int o = 0; o < out; ++o) {
            const int to = flip ? out - 1 - o : o;
            const float centre = (o + 0.5f) * ratio;
            const int from = (int)std::floor(centre - support + 0.5f), end = (int)std::floor(centre + support + 0.5f);
            const int low = from < 0 ? 0 : from, high = end > in ? in : end;
            float sum = 0;
            for (int i = from; i < end; ++i) {
                const float distance = std::fabs(i + 0.5f - centre) * step, share = distance < 1 ? 1 - distance : 0;
                weights[(size_t)((i < 0 ? 0 : i >= in ? in - 1 : i) - low) * stride + to] += share;
                sum += share;
            }
            for (int j = 0; j < high - low; ++j) weights[(size_t)j * stride + to] /= sum;
            first[to] = low, count[to] = high - low;
            most = most > high - low ? most : high - low;
        }
        for (int i = out; i < stride; ++i) first[i] = first[out - 1], count[i] = 0;
    }
};

struct Source {
    const uint8_t *pixels, *end;
    size_t pitch;
    int width, sample = -1;
    Taps x, y;

    void open(const Sample* samples, int number, int size) {
        if (sample == number) return;
        const Sample& from = samples[number];
        sample = number, width = from.width, pitch = from.pitch;
        pixels = from.pixels, end = pixels + (from.height - 1) * pitch + 3 * (size_t)width;
        x.compute(width, size, from.flip), y.compute(from.height, size, false);
    }
};

// Buffers of one thread. They hold numbers from the start: what lies beyond a row's end is read, with weight 0.
struct Workspace {
    Source own, other;
    int columns_stride, line_stride;
    std::vector<float> memory;
    float *columns, *line;  // one output row's source columns; the output row, a plane for each channel
    void* row;              // the output row as it is stored, its planes and then its pixels

    Workspace(int widest, int size) : columns_stride(2 * widest + 8 * PAD), line_stride(size + PAD) {
        memory.resize((size_t)3 * (columns_stride + line_stride + 2 * size));
        columns = memory.data(), line = columns + 3 * columns_stride, row = line + 3 * line_stride;
    }
};

struct Float16 {
    uint16_t bits;
    INLINE Float16 of(float value) {  // rounded to nearest even, in steps that vectorize everywhere
        uint32_t x, half;
        std::memcpy(&x, &value, 4);
        const uint32_t sign = x & 0x80000000u;
        x ^= sign;
        x = x < 0x47800000u ? x : 0x47800000u;  // 65536 and above become infinite
        float magnitude;
        std::memcpy(&magnitude, &x, 4);
        magnitude += 0.5f;  // below 2**-14 the sum's last bits are the subnormal's
        std::memcpy(&half, &magnitude, 4);
        const uint32_t normal = (x - 0x38000000u + 0xFFF + ((x >> 13) & 1)) >> 13;
        const uint32_t small = -(uint32_t)(x < 0x38800000u);  // a mask: a branch would not vectorize
        return {(uint16_t)(((half - 0x3F000000u) & small) | (normal & ~small) | sign >> 16)};
    }
};
struct BFloat16 {
    uint16_t bits;
    INLINE BFloat16 of(float value) {  // rounded to nearest even; there are no NaNs here
        uint32_t x;
        std::memcpy(&x, &value, 4);
        return {(uint16_t)((x + 0x7FFF + ((x >> 16) & 1)) >> 16)};
    }
};
INLINE void put(float value, float* to) { *to = value; }
template <class T>
INLINE void put(float value, T* to) { *to = T::of(value); }

// A row of the batch. It is not read again soon, so on x86 it goes around the caches.
INLINE void write(void* to, const void* from, size_t bytes) {
#ifdef X86
    if (((uintptr_t)to | bytes) % 16 == 0) {
        for (size_t i = 0; i < bytes; i += 16)
            _mm_stream_si128((__m128i*)((char*)to + i), _mm_loadu_si128((const __m128i*)((const char*)from + i)));
        return;
    }
#endif
    std::memcpy(to, from, bytes);
}

template <class T>
INLINE void store(const Workspace& work, int sample, int y, const Output& out) {
    const int size = out.size;
    T* const base = (T*)out.data + (size_t)sample * 3 * size * size;
    T* const planes = (T*)work.row;
    for (int c = 0; c < 3; ++c) {
        const float* line = work.line + c * work.line_stride;
        for (int x = 0; x < size; ++x) put(line[x], planes + c * size + x);
        if (!out.channels_last) write(base + ((size_t)c * size + y) * size, planes + c * size, size * sizeof(T));
    }
    if (!out.channels_last) return;
    T* const pixels = planes + 3 * size;
    for (int x = 0; x < size; ++x) {
        pixels[3 * x] = planes[x];
        pixels[3 * x + 1] = planes[size + x];
        pixels[3 * x + 2] = planes[2 * size + x];
    }
    write(base + (size_t)y * size * 3, pixels, 3 * size * sizeof(T));
}

// Makes pixels x1 to x2 of row y in work.line: value · scale + shift, added to what is there if `add`. It may leave
// anything in up to PAD pixels beyond x2.
typedef void Row(const Source& from, int y, int x1, int x2, const float* scale, const float* shift, bool add,
                 Workspace& work);

#include "resample_any.h"
#ifdef X86
#include "resample_avx512.h"
#endif

FOR_EACH_CPU void finish(Row* row, const Sample* samples, int sample, const Output& out, Workspace& work) {
    const Sample& plan = samples[sample];
    const bool mixes = plan.x1 < plan.x2 && plan.y1 < plan.y2;
    if (work.other.sample == sample) std::swap(work.own, work.other);
    work.own.open(samples, sample, out.size);
    if (mixes && plan.partner >= 0) work.other.open(samples, plan.partner, out.size);

    const auto resample = [&](const Source& from, int y, int x1, int x2, float share, bool add) {
        if (x1 >= x2) return;
        float scale[3], shift[3];
        for (int c = 0; c < 3; ++c) scale[c] = out.scale[c] * share, shift[c] = out.shift[c] * share;
        row(from, y, x1, x2, scale, shift, add, work);
    };
    const float weight = plan.weight / 65536.0f;
    for (int y = 0; y < out.size; ++y) {
        const bool boxed = mixes && y >= plan.y1 && y < plan.y2;
        const int x1 = boxed ? plan.x1 : out.size, x2 = boxed ? plan.x2 : out.size;
        // From left to right: each part writes over what the one before it left beyond its end.
        resample(work.own, y, 0, x1, 1, false);
        if (boxed && plan.partner < 0) {
            for (int c = 0; c < 3; ++c) std::memset(work.line + c * work.line_stride + x1, 0, (x2 - x1) * 4);
        } else if (boxed) {
            if (plan.weight > 0) resample(work.own, y, x1, x2, weight, false);
            resample(work.other, y, x1, x2, 1 - weight, plan.weight > 0);
        }
        resample(work.own, y, x2, out.size, 1, false);
        if (out.dtype == FLOAT32) store<float>(work, sample, y, out);
        if (out.dtype == FLOAT16) store<Float16>(work, sample, y, out);
        if (out.dtype == BFLOAT16) store<BFloat16>(work, sample, y, out);
    }
}

// Every sample once, each followed by its partner where that is still to come: what the sample's box needs of the
// partner's crop is in the cache then.
std::vector<int> order(const Sample* samples, int n) {
    std::vector<int> order;
    std::vector<bool> taken(n);
    for (int i = 0; i < n; ++i)
        for (int next = i; next >= 0 && !taken[next]; next = samples[next].partner)
            order.push_back(next), taken[next] = true;
    return order;
}

#ifdef X86
bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

const int SHARE = 4;

}  // namespace

// Take samples off `next`, SHARE at a time, until all n are done; threads that share `next` share the work.
extern "C" void dali_cutmix_finish(const Sample* samples, int n, const Output* out, int* next) {
    int widest = 0;
    for (int i = 0; i < n; ++i) widest = samples[i].width > widest ? samples[i].width : widest;
    Workspace work(widest, out->size);
    Row* row = row_any;
#ifdef X86
    if (!out->simple && has_avx512()) row = avx512::row;
#endif
    const std::vector<int> numbers = order(samples, n);
    for (int begin; (begin = __atomic_fetch_add(next, SHARE, __ATOMIC_RELAXED)) < n;)
        for (int i = begin; i < begin + SHARE && i < n; ++i) finish(row, samples, numbers[i], *out, work);
#ifdef X86
    _mm_sfence();  // what went around the caches is there for whoever reads it next
#endif
}
