// Part of resample.cpp: the taps for x86 with AVX-512. Vertical: 16 columns at once, sorted into a plane for each
// channel; horizontal: 16 output pixels at once, picked from the plane by permutations.

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")

namespace avx512 {

typedef float Floats __attribute__((vector_size(64)));
typedef int Ints __attribute__((vector_size(64)));
const int LANES = 16;

template <class To, class From>
INLINE To load(const From* from) {
    To to;
    std::memcpy(&to, from, sizeof to);
    return to;
}

INLINE Floats widen(const uint8_t* from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)from)));
}

// RGBRGB… in three vectors to the vectors R, G, B.
INLINE void deinterleave(const Floats* from, Floats* to) {
    for (int c = 0; c < 3; ++c) {
        Ints first, then;  // those of the first two vectors, then the others out of the third
        for (int i = 0; i < LANES; ++i) {
            const int at = 3 * i + c;
            first[i] = at < 2 * LANES ? at : 0, then[i] = at < 2 * LANES ? i : at - LANES;
        }
        to[c] = __builtin_shuffle(__builtin_shuffle(from[0], from[1], first), from[2], then);
    }
}

// The vertical taps of output row y, for the source columns left to right. WHOLE: its vectors end within the crop.
template <bool WHOLE>
INLINE void down(const Source& from, int y, int left, int right, float* columns, int stride) {
    const float* weights = &from.y.weights[y];
    const size_t weights_stride = from.y.stride, row_stride = from.pitch;
    const int count = from.y.count[y];
    const uint8_t *row = from.pixels + from.y.first[y] * row_stride + 3 * left, *const end = from.end;
    for (int x = left; x < right; x += LANES, row += 3 * LANES, columns += LANES) {
        Floats sums[3] = {}, planes[3];
        for (int j = 0; j < count; ++j) {
            const uint8_t* bytes = row + j * row_stride;
            uint8_t inside[3 * LANES] = {};
            if (!WHOLE && bytes + 3 * LANES > end) bytes = (uint8_t*)std::memcpy(inside, bytes, end - bytes);
            const float weight = weights[j * weights_stride];
            for (int k = 0; k < 3; ++k) sums[k] += weight * widen(bytes + k * LANES);
        }
        deinterleave(sums, planes);
        for (int c = 0; c < 3; ++c) std::memcpy(columns + c * stride, &planes[c], sizeof(Floats));
    }
}

// out[i] = table[index[i]], of a table of REGISTERS vectors.
template <int REGISTERS>
INLINE Floats pick(const Floats* table, Ints index) {
    if (REGISTERS == 1) return __builtin_shuffle(table[0], index);
    const Floats low = __builtin_shuffle(table[0], table[1], index);
    if (REGISTERS == 2) return low;
    const Floats high = __builtin_shuffle(table[2], table[3], index);
    return index >= 2 * LANES ? high : low;
}

// REGISTERS vectors of a plane hold all that 16 pixels need; 0: more than four would be needed.
template <int REGISTERS>
INLINE void across(const Taps& taps, int x1, int x2, int left, const float* scale, const float* shift, bool add,
                   const float* columns, int stride, float* line, int line_stride) {
    for (int x = x1; x < x2; x += LANES) {
        // Of pixels beyond x2, which are not meant, the taps may begin before `left`, where there is nothing.
        const int a = taps.first[x], b = taps.first[x + LANES - 1], low = a < b ? a : b, base = low < left ? left : low;
        const Ints offset = load<Ints>(&taps.first[x]) - base, index = offset < 0 ? 0 : offset;
        const float* from = columns + (base - left);
        Floats table[3][REGISTERS ? REGISTERS : 1], sums[3] = {};
        for (int c = 0; c < 3; ++c)
            for (int r = 0; r < REGISTERS; ++r) table[c][r] = load<Floats>(from + c * stride + r * LANES);
        for (int j = 0; j < taps.most; ++j) {
            const Floats weights = load<Floats>(&taps.weights[(size_t)j * taps.stride + x]);
            for (int c = 0; c < 3; ++c) {
                Floats values;
                if (REGISTERS) values = pick<REGISTERS>(table[c], index + j);
                else values = _mm512_i32gather_ps((__m512i)(index + j), from + c * stride, sizeof(float));
                sums[c] += weights * values;
            }
        }
        for (int c = 0; c < 3; ++c) {
            Floats value = sums[c] * scale[c] + shift[c];
            if (add) value += load<Floats>(line + c * line_stride + x);
            std::memcpy(line + c * line_stride + x, &value, sizeof value);
        }
    }
}

void row(const Source& from, int y, int x1, int x2, const float* scale, const float* shift, bool add,
         Workspace& work) {
    const int a = from.x.first[x1], b = from.x.first[x2 - 1], left = a < b ? a : b, last = a < b ? b : a;
    const int end = last + from.x.most, right = end < from.width ? end : from.width;
    const int bottom = from.y.first[y] + from.y.count[y], stride = work.columns_stride;
    float *columns = work.columns, *line = work.line;
    if (from.pixels + (bottom - 1) * from.pitch + 3 * (size_t)(right + LANES) <= from.end)
        down<true>(from, y, left, right, columns, stride);
    else
        down<false>(from, y, left, right, columns, stride);

    const float needed = (LANES - 1) * from.x.ratio + 1 + from.x.most;  // above the largest index
    const int width = work.line_stride;
    if (needed < LANES) across<1>(from.x, x1, x2, left, scale, shift, add, columns, stride, line, width);
    else if (needed < 2 * LANES) across<2>(from.x, x1, x2, left, scale, shift, add, columns, stride, line, width);
    else if (needed < 4 * LANES) across<4>(from.x, x1, x2, left, scale, shift, add, columns, stride, line, width);
    else across<0>(from.x, x1, x2, left, scale, shift, add, columns, stride, line, width);
}

}  // namespace avx512

#pragma GCC pop_options
