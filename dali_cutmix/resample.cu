// One launch for a batch of decoded crops of different sizes: the normalized, mixed batch, every output pixel resampled
// once, from the sample's own crop outside the box and from its partner's inside. The filter is that of resample.cpp:
// bilinear, antialiased on downscale, pixels beyond the border count as the border's; float32 throughout.
//
// samples  one for each image (see SAMPLE in batch.py)
// out      N·3·size·size values of `dtype` (0 float32, 1 float16, 2 bfloat16), channels first or last
//
// A block makes ROWS rows of one image, a thread one column of them (grid: x columns, y rows, z images). For each row
// and each crop that it needs: first the vertical taps, by all threads over four neighbouring bytes each, into shared
// memory; then each thread the horizontal taps of its pixel. Two buffers in turn, so one barrier a step is enough.

#define ROWS 8
#define COLUMNS 512  // of a crop, at a time; three times this is whole words

struct Sample {
    const unsigned char* pixels;  // RGB; what is taken of the image begins here
    int height, width;
    int partner, x1, y1, x2, y2, flip, weight;  // its plan row, see plan.py
    int pitch;                                  // bytes from a row of the image to the next
};

// Where the taps of an output position begin and end; those outside of the crop take the border's pixel.
struct Taps {
    float centre, step;
    int begin, end;

    __device__ Taps(int position, float ratio) {
        const float support = ratio > 1 ? ratio : 1;
        centre = __fmul_rn(position + 0.5f, ratio);  // rounded, as on the CPU: kept exact it would move the weights
        begin = (int)floorf(centre - support + 0.5f), end = (int)floorf(centre + support + 0.5f);
        step = 1 / support;
    }
    __device__ float weight(int tap) const { return fmaxf(0.0f, 1 - fabsf(tap + 0.5f - centre) * step); }
};

// The four bytes at `at`, of which the first is before `end`. Reads whole words that hold at least one byte of the crop.
__device__ __forceinline__ unsigned load4(const unsigned char* at, const unsigned char* end) {
    const unsigned offset = (unsigned)((unsigned long long)at & 3);
    const unsigned* word = (const unsigned*)(at - offset);
    const unsigned low = word[0];
    const unsigned high = offset && (const unsigned char*)(word + 1) < end ? word[1] : 0;
    return __funnelshift_r(low, high, 8 * offset);
}

// pixel[c] = output pixel (x, y) of one crop, for the threads with begin ≤ x < end; called by the whole block.
__device__ __forceinline__ void resample(const Sample& from, int size, int y, int x, int begin, int end,
                                         float columns[2][3][COLUMNS], int& step, float* pixel) {
    const float ratio = (float)from.width / size;
    const Taps rows(y, (float)from.height / size), mine(from.flip ? size - 1 - x : x, ratio);
    const Taps first(from.flip ? size - end : begin, ratio), last(from.flip ? size - 1 - begin : end - 1, ratio);
    const int left = max(first.begin, 0), right = min(last.end, from.width);
    const unsigned char* const stop = from.pixels + (long long)(from.height - 1) * from.pitch + 3 * from.width;
    float sum = 0;
    pixel[0] = pixel[1] = pixel[2] = 0;
    for (int low = left; low < right; low += COLUMNS, ++step) {
        const int high = min(low + COLUMNS, right);
        float(*const line)[COLUMNS] = columns[step & 1];
        for (int i = 4 * threadIdx.x; i < 3 * (high - low); i += 4 * blockDim.x) {
            float bytes[4] = {0, 0, 0, 0}, total = 0;
            for (int tap = rows.begin; tap < rows.end; ++tap) {
                const int row = min(max(tap, 0), from.height - 1);
                const unsigned word = load4(from.pixels + (long long)row * from.pitch + 3 * low + i, stop);
                const float weight = rows.weight(tap);
                total += weight;
                for (int k = 0; k < 4; ++k) bytes[k] += weight * (float)(word >> 8 * k & 255);
            }
            const float each = 1 / total;
            for (int k = 0; k < 4; ++k) line[(i + k) % 3][(i + k) / 3] = each * bytes[k];
        }
        __syncthreads();
        if (x < begin || x >= end) continue;
        const int from_tap = low == 0 ? mine.begin : max(mine.begin, low);
        const int to_tap = high == from.width ? mine.end : min(mine.end, high);
        for (int tap = from_tap; tap < to_tap; ++tap) {
            const int column = min(max(tap, 0), from.width - 1) - low;
            const float weight = mine.weight(tap);
            sum += weight;
            for (int c = 0; c < 3; ++c) pixel[c] += weight * line[c][column];
        }
    }
    const float each = 1 / sum;
    for (int c = 0; c < 3; ++c) pixel[c] *= each;
}

#ifdef __CUDACC__
__device__ unsigned short float16_bits(float value) {  // without a header, which the compiler might not find
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#endif

__device__ unsigned short bfloat16_bits(float value) {  // rounded to nearest even; there are no NaNs here
    const unsigned bits = __float_as_uint(value);
    return (unsigned short)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

__device__ __forceinline__ void store(float value, void* out, long long at, int dtype) {
    if (dtype == 0) ((float*)out)[at] = value;
    if (dtype == 1) ((unsigned short*)out)[at] = float16_bits(value);
    if (dtype == 2) ((unsigned short*)out)[at] = bfloat16_bits(value);
}

extern "C" __global__ void resample_and_mix(const Sample* samples, void* out, int size, int dtype, int channels_last,
                                            float scale0, float scale1, float scale2, float shift0, float shift1,
                                            float shift2) {
    __shared__ float columns[2][3][COLUMNS];
    const float scale[3] = {scale0, scale1, scale2}, shift[3] = {shift0, shift1, shift2};
    const Sample own = samples[blockIdx.z], partner = samples[max(own.partner, 0)];
    const int x0 = blockIdx.x * blockDim.x, x = x0 + threadIdx.x, end = min(x0 + (int)blockDim.x, size);
    const float weight = own.partner < 0 ? 0 : own.weight / 65536.0f;
    int step = 0;
    for (int y = blockIdx.y * ROWS; y < min((int)(blockIdx.y + 1) * ROWS, size); ++y) {
        // The part of the box in this block's part of the row: x1 to x2, empty outside of it.
        const bool boxed = y >= own.y1 && y < own.y2;
        const int x1 = boxed ? min(max(own.x1, x0), end) : end, x2 = boxed ? min(max(own.x2, x1), end) : end;
        const bool inside = x >= x1 && x < x2;
        float value[3] = {0, 0, 0}, pixel[3];

        // The own crop, save for what the box hides of it at either end.
        const int own_begin = weight == 0 && x1 == x0 ? x2 : x0, own_end = weight == 0 && x2 == end ? x1 : end;
        if (own_begin < own_end) {
            resample(own, size, y, x, own_begin, own_end, columns, step, pixel);
            const float share = inside ? weight : 1;
            if (share > 0)
                for (int c = 0; c < 3; ++c) value[c] = pixel[c] * (scale[c] * share) + shift[c] * share;
        }
        if (own.partner >= 0 && x1 < x2) {
            resample(partner, size, y, x, x1, x2, columns, step, pixel);
            if (inside)
                for (int c = 0; c < 3; ++c)
                    value[c] += pixel[c] * (scale[c] * (1 - weight)) + shift[c] * (1 - weight);
        }

        if (x >= size) continue;
        const long long plane = (long long)size * size, at = 3 * plane * blockIdx.z;
        for (int c = 0; c < 3; ++c)
            store(value[c], out, at + (channels_last ? 3 * ((long long)y * size + x) + c : c * plane + y * size + x),
                  dtype);
    }
}
