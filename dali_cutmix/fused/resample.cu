// One launch for a batch of decoded crops of different sizes: the normalized, mixed batch, every output pixel resampled
// once, from the sample's own crop outside the box and from its partner's inside. The filter is that of resample.cpp:
// bilinear, antialiased on downscale, pixels beyond the border count as the border's; float32 throughout.
//
// samples  one for each image (see SAMPLE in batch_layout.py)
// out      N·3·size·size values of `dtype` (0 float32, 1 float16, 2 bfloat16), channels first or last; its memory
//          begins at a whole 16 bytes
//
// A block makes ROWS rows of one image, a thread one column of them (grid: x columns, y rows, z images). The thread
// walks down the source rows that its column needs, each once. First the horizontal taps: their weights are the same
// in all rows and stay in registers. Then the sum goes to the output rows around it, with vertical weights that the
// block shares. The values gather in a tile in shared memory, to which may be added: a blended partner, and what is
// too much to be done at once. At the end the block casts the tile and writes it in words of 16 bytes.
//
// The other half, resample_taps.cuh, is compiled in front of this one: filter taps, and the walk down a column.

// Puts a crop into rows begin to end of the tile, whose first is y of the output: into the columns of the threads that
// want it; called by the whole block.
__device__ __forceinline__ void resample(const Sample from, int size, int x, int y, int begin, int end, bool wanted,
                                         Step* steps, Column column) {
    const float ratio = (float)from.height / size;
    const bool shrinks = from.height > size;
    const Taps taps(from.flip ? size - 1 - x : x, (float)from.width / size, from.width);
    const int top = Taps(y + begin, ratio, from.height).first();
    const int bottom = Taps(y + end - 1, ratio, from.height).last() + 1;
    // A position needs twice the support in pixels, rounded up; in parts, if they are many.
    const int all = min((int)ceilf(2 * taps.support), from.width);
    int part = all;
    while (part > MOST_TAPS) part = (part + 1) / 2;
    if (!column.adds && (part < all || bottom - top > MOST_STEPS)) {
        if (wanted) column.prepare(begin, end, 0, 1);
        column.adds = true;
    }
#pragma unroll 1
    for (int row = top; row < bottom; row += MOST_STEPS) {
        const int rows = min(bottom - row, MOST_STEPS);
        __syncthreads();  // the steps before were taken
#pragma unroll 1
        for (int i = threadIdx.x; i < (shrinks ? rows : end - begin); i += blockDim.x) {
            int at = begin;
            if (shrinks)
                while (Taps(y + at, ratio, from.height).last() < row + i) ++at;
            else
                at += i;
            const Taps down(y + at, ratio, from.height);
            if (shrinks)
                steps[i] = {at, down.weight(row + i), Taps(y + at + 1, ratio, from.height).weight(row + i)};
            else
                steps[i] = {down.last(), down.last() ? down.weight(down.last() - 1) : 0, down.weight(down.last())};
        }
        __syncthreads();
        if (!wanted) continue;
#pragma unroll 1
        for (int first = taps.first(); first < taps.first() + all; first += part) {
            const int pixel = min(first, from.width - part);
            switch (part) {
#define WALK(N)                                                                                              \
    case N:                                                                                                  \
        walk<N>(from.pixels, from.pitch, row, rows, shrinks, taps, pixel, first, steps, begin, end, column); \
        break;
                WALK(1) WALK(2) WALK(3) WALK(4) WALK(5) WALK(6) WALK(7) WALK(8)
#undef WALK
            }
        }
    }
}

#ifdef __CUDACC__
__device__ unsigned short float16_bits(float value) {  // without a header, which the compiler might not find
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#endif

__device__ unsigned short bfloat16_bits(float value) {  // rounded to nearest even; there are no NaNs here
#if defined(__CUDACC__) && __CUDA_ARCH__ >= 800
    unsigned short bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
#else
    const unsigned bits = __float_as_uint(value);
    return (unsigned short)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
#endif
}

// Two values of the output's type, or one.
__device__ __forceinline__ unsigned word(const float* values, int dtype) {
    if (dtype == 0) return __float_as_uint(values[0]);
    if (dtype == 1) return float16_bits(values[0]) | (unsigned)float16_bits(values[1]) << 16;
    return bfloat16_bits(values[0]) | (unsigned)bfloat16_bits(values[1]) << 16;
}

// Writes `length` values of one type to out + at, by a warp; values + at is as far from a whole 16 bytes as out + at.
template <int DTYPE>
__device__ __forceinline__ void write(const float* values, void* out, long long at, int length) {
    const int PER_WORD = DTYPE == 0 ? 1 : 2, CHUNK = 4 * PER_WORD, lead = (int)at & (CHUNK - 1);
    unsigned char* const to = (unsigned char*)out + at * (4 / PER_WORD);
#pragma unroll 1
    for (int i = (int)(threadIdx.x % 32) * CHUNK - lead; i < length; i += 32 * CHUNK) {
        if (i >= 0 && i + CHUNK <= length) {
            float chunk[CHUNK];
            for (int k = 0; k < CHUNK; k += 4) *(float4*)(chunk + k) = *(const float4*)(values + i + k);
            const uint4 words = {word(chunk, DTYPE), word(chunk + PER_WORD, DTYPE), word(chunk + 2 * PER_WORD, DTYPE),
                                 word(chunk + 3 * PER_WORD, DTYPE)};
            *(uint4*)(to + i * (4 / PER_WORD)) = words;
        } else {
#pragma unroll 1
            for (int k = max(i, 0); k < min(i + CHUNK, length); ++k) {
                if (DTYPE == 0) ((float*)to)[k] = values[k];
                if (DTYPE == 1) ((unsigned short*)to)[k] = float16_bits(values[k]);
                if (DTYPE == 2) ((unsigned short*)to)[k] = bfloat16_bits(values[k]);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(COLUMNS, LEAST_BLOCKS)
    resample_and_mix(const Sample* samples, void* out, int size, int dtype, int channels_last, float scale0,
                     float scale1, float scale2, float shift0, float shift1, float shift2) {
    __shared__ __align__(16) float tile[3 * (ROWS * (COLUMNS + 16) + 8)];
    __shared__ Step steps[MOST_STEPS];
    const Sample own = samples[blockIdx.z];
    const float share = own.partner < 0 ? 0 : own.weight / 65536.0f;  // of the own crop inside the box
    const int x0 = blockIdx.x * blockDim.x, x = x0 + threadIdx.x, x_end = min(x0 + (int)blockDim.x, size);
    const int y0 = blockIdx.y * ROWS, y_end = min(y0 + ROWS, size);

    // Where a value is: in `out` and, as far from a whole 16 bytes, in the tile.
    const int side = channels_last ? 3 : 1, row = side * size;
    const long long plane = (long long)size * size, channel = channels_last ? 1 : plane;
    const long long first = 3 * plane * blockIdx.z + (long long)y0 * row + x0 * side;
    const int tile_row = side * COLUMNS + 8 + (row & 7);
    const int tile_channel = channels_last ? 1 : ROWS * (COLUMNS + 16) + ((int)channel & 7);
    float* const begin = tile + ((int)first & 7);

    // The own crop, save where the box hides it; then over it, inside the box, its partner or nothing.
    const bool boxed = x >= own.x1 && x < own.x2;
    const int box_begin = max(own.y1 - y0, 0), box_end = min(own.y2, y_end) - y0;
    const bool hidden = share == 0 && box_begin == 0 && box_end == y_end - y0;
    const bool is_boxed = own.x1 < x_end && own.x2 > x0 && box_begin < box_end;
    Column column = {begin + side * threadIdx.x, tile_row, tile_channel, {scale0, scale1, scale2},
                     {shift0, shift1, shift2}, false};
#pragma unroll 1
    for (int crop = 0; crop < 2; ++crop) {
        if (crop ? !is_boxed || own.partner < 0 : hidden && own.x1 <= x0 && own.x2 >= x_end) continue;
        if (crop && share > 0) {
            if (boxed) column.prepare(box_begin, box_end, share, 1 - share);
            for (int c = 0; c < 3; ++c) column.scale[c] *= 1 - share;
            column.adds = true;
        }
        resample(samples[crop ? own.partner : blockIdx.z], size, x, y0, crop ? box_begin : 0,
                 crop ? box_end : y_end - y0, crop ? boxed : x < size && !(hidden && boxed), steps, column);
    }
    if (boxed && own.partner < 0) column.prepare(box_begin, box_end, 0, 0);

    __syncthreads();
    const int length = side * (x_end - x0);
    const unsigned runs = ROWS * (channels_last ? 1 : 3);
#pragma unroll 1
    for (unsigned run = threadIdx.x / 32; run < runs; run += blockDim.x / 32) {
        const int y = run % ROWS, c = run / ROWS;
        if (y0 + y >= y_end) continue;
        const float* const values = begin + c * tile_channel + y * tile_row;
        const long long at = first + c * channel + y * row;
        if (dtype == 0) write<0>(values, out, at, length);
        if (dtype == 1) write<1>(values, out, at, length);
        if (dtype == 2) write<2>(values, out, at, length);
    }
}
