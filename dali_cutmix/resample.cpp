// From decoded crop to normalized, mixed batch in one pass: every output pixel is resampled once, from the sample's
// own crop outside the box and from its partner's inside.
//
// Antialiased bilinear: a triangle filter, widened on downscale; pixels beyond the border count as the border's (as in
// DALI's resize; Pillow and torchvision leave them out, which differs in the outermost pixels). Separable: for each
// output row first the vertical taps over the source columns that the row needs, contiguous and vectorized, then the
// horizontal taps, one 4-lane vector for the channels of a pixel. Float32 throughout, no rounding in between.
//
// Plain C interface, called through ctypes (which releases the GIL) by as many threads as there are cores.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#endif
#define INLINE static inline __attribute__((always_inline))

namespace {

typedef float Pixel __attribute__((vector_size(16)));  // R, G, B and one lane that is not used

enum Dtype { FLOAT32 = 0, FLOAT16 = 1, BFLOAT16 = 2 };

struct Output {
    void* data;  // n · 3 · height · width values
    int height, width, dtype, channels_last;
    float scale[3], shift[3];  // normalized = value · scale + shift
};

struct Row {  // one plan row, see plan.py
    int partner, x1, y1, x2, y2, flip, weight;
};

// For each output position the first source index, the number of taps, and their weights.
struct Taps {
    std::vector<int> first, count;
    std::vector<float> weights;
    int stride = 0, most = 0;  // most: the largest count

    void compute(int in, int out, bool flip) {
        const float ratio = (float)in / out, support = ratio > 1 ? ratio : 1;
        stride = 2 * (int)std::ceil(support) + 2;
        most = 0, first.resize(out), count.resize(out), weights.assign((size_t)out * stride, 0);
        for (int o = 0; o < out; ++o) {
            const int to = flip ? out - 1 - o : o;
            const float centre = (o + 0.5f) * ratio;
            const int from = (int)std::floor(centre - support + 0.5f), end = (int)std::floor(centre + support + 0.5f);
            const int low = from < 0 ? 0 : from, high = end > in ? in : end;
            float sum = 0, *w = &weights[(size_t)to * stride];
            for (int i = from; i < end; ++i) {
                const float distance = std::fabs(i + 0.5f - centre) / support, share = distance < 1 ? 1 - distance : 0;
                w[(i < 0 ? 0 : i >= in ? in - 1 : i) - low] += share;
                sum += share;
            }
            for (int i = 0; i < high - low; ++i) w[i] /= sum;
            first[to] = low, count[to] = high - low;
            most = most > count[to] ? most : count[to];
        }
    }
};

struct Source {
    const uint8_t* pixels;
    int width;
    Taps x, y;

    void open(const uint8_t* data, int height, int crop_width, bool flip, const Output& out) {
        pixels = data, width = crop_width;
        x.compute(crop_width, out.width, flip), y.compute(height, out.height, false);
    }
};

// The horizontal taps of pixels x1 to x2: N of them, those beyond a pixel's own with weight 0; or, for N = 0, its own.
template <int N>
INLINE void across(const Taps& taps, int x1, int x2, int left, Pixel scale, Pixel shift, bool add, const float* columns,
                   Pixel* line) {
    for (int x = x1; x < x2; ++x) {
        const float* at = columns + 3 * (taps.first[x] - left);
        const float* weights = &taps.weights[(size_t)x * taps.stride];
        const int n = N ? N : taps.count[x];
        Pixel sum = {0, 0, 0, 0};
        for (int j = 0; j < n; ++j, at += 3) {
            Pixel pixel;
            std::memcpy(&pixel, at, sizeof pixel);
            sum += weights[j] * pixel;
        }
        sum = sum * scale + shift;
        line[x] = add ? line[x] + sum : sum;
    }
}

// Resample pixels x1 to x2 of output row y: line[x] = share · normalized, added to what is there if `add`.
INLINE void resample(const Source& from, int y, int x1, int x2, float share, bool add, const Output& out,
                     float* columns, Pixel* line) {
    if (x1 >= x2) return;
    const int a = from.x.first[x1], b = from.x.first[x2 - 1];
    const int a_end = a + from.x.count[x1], b_end = b + from.x.count[x2 - 1];
    const int left = a < b ? a : b, right = a_end > b_end ? a_end : b_end;
    const int n = (right - left) * 3;

    const float* wy = &from.y.weights[(size_t)y * from.y.stride];
    const uint8_t* row = from.pixels + ((size_t)from.y.first[y] * from.width + left) * 3;
    for (int i = 0; i < n; ++i) columns[i] = wy[0] * row[i];
    for (int j = 1; j < from.y.count[y]; ++j) {
        row += (size_t)from.width * 3;
        for (int i = 0; i < n; ++i) columns[i] += wy[j] * row[i];
    }

    const Pixel scale = {out.scale[0] * share, out.scale[1] * share, out.scale[2] * share, 0};
    const Pixel shift = {out.shift[0] * share, out.shift[1] * share, out.shift[2] * share, 0};
    switch (from.x.most) {  // the usual numbers of taps, unrolled
        case 2: return across<2>(from.x, x1, x2, left, scale, shift, add, columns, line);
        case 3: return across<3>(from.x, x1, x2, left, scale, shift, add, columns, line);
        case 4: return across<4>(from.x, x1, x2, left, scale, shift, add, columns, line);
        case 5: return across<5>(from.x, x1, x2, left, scale, shift, add, columns, line);
        default: return across<0>(from.x, x1, x2, left, scale, shift, add, columns, line);
    }
}

INLINE void put(float value, float* to) { *to = value; }
INLINE void put(float value, _Float16* to) { *to = (_Float16)value; }
INLINE void put(float value, uint16_t* to) {  // bfloat16, rounded to nearest even; there are no NaNs here
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    *to = (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

template <class T>
INLINE void store(const Pixel* line, int sample, int y, const Output& out) {
    const size_t plane = (size_t)out.height * out.width;
    T* base = (T*)out.data + sample * plane * 3;
    if (out.channels_last) {
        T* to = base + (size_t)y * out.width * 3;
        for (int x = 0; x < out.width; ++x)
            for (int c = 0; c < 3; ++c) put(line[x][c], to + 3 * x + c);
    } else {
        for (int c = 0; c < 3; ++c) {
            T* to = base + c * plane + (size_t)y * out.width;
            for (int x = 0; x < out.width; ++x) put(line[x][c], to + x);
        }
    }
}

FOR_EACH_CPU void finish(int sample, const Row& plan, const Source& own, const Source& other, const Output& out,
                         float* columns, Pixel* line) {
    const float weight = plan.weight / 65536.0f;
    for (int y = 0; y < out.height; ++y) {
        const bool boxed = plan.x1 < plan.x2 && y >= plan.y1 && y < plan.y2;
        const int x1 = boxed ? plan.x1 : out.width, x2 = boxed ? plan.x2 : out.width;
        resample(own, y, 0, x1, 1, false, out, columns, line);
        resample(own, y, x2, out.width, 1, false, out, columns, line);
        if (boxed) {
            if (plan.weight > 0) resample(own, y, x1, x2, weight, false, out, columns, line);
            if (plan.partner >= 0) resample(other, y, x1, x2, 1 - weight, plan.weight > 0, out, columns, line);
            if (plan.partner < 0) std::memset((void*)(line + x1), 0, (x2 - x1) * sizeof(Pixel));
        }
        if (out.dtype == FLOAT32) store<float>(line, sample, y, out);
        if (out.dtype == FLOAT16) store<_Float16>(line, sample, y, out);
        if (out.dtype == BFLOAT16) store<uint16_t>(line, sample, y, out);
    }
}

}  // namespace

// Take samples off `next` until all n are done; threads that share `next` share the work.
//
// crops   n addresses of height·width·3 bytes, RGB
// shapes  n · (height, width)
// plan    n rows
extern "C" void dali_cutmix_finish(const uint8_t* const* crops, const int* shapes, const Row* plan, int n,
                                   const Output* out, int* next) {
    int widest = 0;
    for (int i = 0; i < n; ++i) widest = shapes[2 * i + 1] > widest ? shapes[2 * i + 1] : widest;
    // Taps of weight 0 and the last vector of a row read beyond it: what is there must be a number.
    std::vector<float> columns((size_t)widest * 3 + 4 + 3 * 5);
    std::vector<Pixel> line(out->width);
    Source own, other;
    for (int i; (i = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED)) < n;) {
        const int p = plan[i].partner;
        own.open(crops[i], shapes[2 * i], shapes[2 * i + 1], plan[i].flip, *out);
        const bool pasted = p >= 0 && plan[i].x1 < plan[i].x2 && plan[i].y1 < plan[i].y2;
        if (pasted) other.open(crops[p], shapes[2 * p], shapes[2 * p + 1], plan[p].flip, *out);
        finish(i, plan[i], own, other, *out, columns.data(), line.data());
    }
}
