// The first half of the kernel in resample.cu: what a thread of a block does with one column of a crop.

#define ROWS 12  // of a block, as in cuda.py
#ifndef COLUMNS
#define COLUMNS 224  // of a block, or more; a multiple of 32
#endif
#define MOST_TAPS 8    // horizontal, at once
#define MOST_STEPS 64  // vertical, at once; more than the source rows that ROWS of a stretched crop need
#define LEAST_BLOCKS (COLUMNS > 32 ? 1152 / COLUMNS : 32)  // on a multiprocessor: half of the warps of an H100

struct Sample {
    const unsigned char* pixels;  // RGB; what is taken of the image begins here
    int height, width;
    int partner, x1, y1, x2, y2, flip, weight;  // its plan row, see mixing/plan.py
    int pitch;                                  // bytes from a row of the image to the next
};

#ifdef __CUDACC__
__device__ __forceinline__ float reciprocal(float value) {  // to one unit
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(value));
    return result;
}
#endif

// The pixels along one axis of a crop that an output position is made of, and their weights.
struct Taps {
    float centre, support, step, before, after, norm;
    int begin, end, length;  // taps from begin to end, some beyond the pixels, which go from 0 to length

    __device__ Taps(int position, float ratio, int length) : length(length) {
        support = fmaxf(ratio, 1);
        centre = __fmul_rn(position + 0.5f, ratio);  // rounded, as on the CPU: kept exact it would move the weights
        begin = (int)floorf(centre - support + 0.5f), end = (int)floorf(centre + support + 0.5f);
        step = reciprocal(support);
        const int middle = (int)floorf(centre + 0.5f);
        before = begin < 0 ? sum(begin, 0) : 0;
        after = end > length ? sum(length, end) : 0;
        norm = reciprocal(sum(begin, middle) + sum(middle, end));
    }
    __device__ int first() const { return max(begin, 0); }
    __device__ int last() const { return min(end, length) - 1; }
    __device__ float tap(int at) const { return fmaxf(0.0f, 1 - fabsf(at + 0.5f - centre) * step); }
    // Of taps on one side of the centre, along which the weights rise or fall evenly.
    __device__ float sum(int from, int to) const { return 0.5f * (to - from) * (tap(from) + tap(to - 1)); }
    // The weight of a pixel; the outermost have those of the taps beyond them, too.
    __device__ float weight(int pixel) const {
        return norm * (tap(pixel) + (pixel == 0 ? before : 0) + (pixel == length - 1 ? after : 0));
    }
};

// Vertical weights. Where a crop shrinks, one for each source row: of the first output row that is not complete before
// it, `at`, and of the next. Where it is stretched, one for each output row: of the source row before its last, and of
// its last, `at`.
struct alignas(16) Step {
    int at;
    float first, second;
};

// What a thread makes: a column of the tile, of normalized values.
struct Column {
    float* values;
    int row_pitch, channel_pitch;
    float scale[3], shift[3];
    bool adds;  // to what is there, without the shift

    __device__ __forceinline__ void put(int row, const float* pixel) const {
        float* at = values + row * row_pitch;
        for (int c = 0; c < 3; ++c, at += channel_pitch) *at = pixel[c] * scale[c] + (adds ? *at : shift[c]);
    }
    // Keeps a share of what is there (nothing, were it no number, if that is 0) and adds one of the shift.
    __device__ void prepare(int begin, int end, float kept, float of_shift) const {
        float* at = values + begin * row_pitch;
#pragma unroll 1
        for (int row = begin; row < end; ++row, at += row_pitch)
            for (int c = 0; c < 3; ++c) {
                float& value = at[c * channel_pitch];
                value = (kept > 0 ? kept * value : 0) + of_shift * shift[c];
            }
    }
};

// N pixels of a row, in words that hold at least one byte of them each.
template <int N>
struct Pixels {
    enum { WORDS = (3 * N + 6) / 4 };  // at any address
    unsigned words[WORDS], bits;       // so many of the first word's are before the pixels, modulo 32

    __device__ __forceinline__ Pixels(const unsigned char* pixels) {
        const unsigned long long address = (unsigned long long)pixels;
        const unsigned* const source = (const unsigned*)(address & ~3ull);
        bits = 8 * (unsigned)address;
        for (int k = 0; k < WORDS - 1; ++k) words[k] = __ldg(source + k);
        words[WORDS - 1] = ((unsigned)address & 3) + 3 * N > 4 * (WORDS - 1) ? __ldg(source + WORDS - 1) : 0;
    }
    __device__ __forceinline__ void sum(const float* weights, float* sum) const {
        sum[0] = sum[1] = sum[2] = 0;
        for (int k = 0; k < 3 * N; ++k) {
            const unsigned next = k / 4 + 1 < WORDS ? words[k / 4 + 1] : 0;
            const unsigned word = __funnelshift_r(words[k / 4], next, bits);
            const unsigned value = __byte_perm(word, 0x4B000000, 0x7440 + k % 4);  // of the float 2^23 + the byte
            sum[k % 3] += weights[k / 3] * (__uint_as_float(value) - 8388608.0f);
        }
    }
};

// Puts rows of a crop into rows begin to end of a column: of each the N pixels from `pixel` on, where those before
// `first` belong to another part.
template <int N>
__device__ __forceinline__ void walk(const unsigned char* pixels, int pitch, int row, int rows, bool shrinks,
                                     const Taps& taps, int pixel, int first, const Step* step, int begin, int end,
                                     const Column& column) {
    float weights[N], sum[3], upper[3] = {0, 0, 0};
    for (int k = 0; k < N; ++k) weights[k] = pixel + k < first ? 0 : taps.weight(pixel + k);
    pixels += (long long)row * pitch + 3 * pixel;
    Pixels<N> next(pixels);  // a row ahead, so that nobody waits for it
    if (shrinks) {
        float lower[3] = {0, 0, 0};
        begin = step->at;
#pragma unroll 1
        for (; rows; --rows, ++step) {
            const Pixels<N> now = next;
            pixels += rows > 1 ? pitch : 0;
            next = Pixels<N>(pixels);
            now.sum(weights, sum);
            const Step here = *step;
            if (here.at != begin) {
                column.put(begin, upper);
                for (int c = 0; c < 3; ++c) upper[c] = lower[c], lower[c] = 0;
                begin = here.at;
            }
            for (int c = 0; c < 3; ++c) upper[c] += here.first * sum[c], lower[c] += here.second * sum[c];
        }
        column.put(begin, upper);
        if (begin + 1 < end) column.put(begin + 1, lower);
    } else {
#pragma unroll 1
        for (; rows; --rows, ++row) {
            const Pixels<N> now = next;
            pixels += rows > 1 ? pitch : 0;
            next = Pixels<N>(pixels);
            now.sum(weights, sum);
#pragma unroll 1
            for (; begin < end && step->at == row; ++begin, ++step) {
                float both[3];
                for (int c = 0; c < 3; ++c) both[c] = step->first * upper[c] + step->second * sum[c];
                column.put(begin, both);
            }
            for (int c = 0; c < 3; ++c) upper[c] = sum[c];
        }
    }
}
