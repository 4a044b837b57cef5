// Part of resample.cpp: the taps for any CPU. Vertical: over the columns as they lie, R, G, B, R, …; horizontal: one
// 4-lane vector for the channels of a pixel.

typedef float Pixel __attribute__((vector_size(16)));  // R, G, B and one lane that is not used

// N taps for every pixel, those beyond a pixel's own with weight 0; or, for N = 0, its own.
template <int N>
INLINE void across(const Taps& taps, int x1, int x2, int left, Pixel scale, Pixel shift, bool add,
                   const float* columns, float* line, int stride) {
    for (int x = x1; x < x2; ++x) {
        const float *at = columns + 3 * (taps.first[x] - left), *weight = &taps.weights[x];
        const int n = N ? N : taps.count[x];
        Pixel sum = {0, 0, 0, 0};
        for (int j = 0; j < n; ++j, at += 3, weight += taps.stride) {
            Pixel pixel;
            std::memcpy(&pixel, at, sizeof pixel);
            sum += *weight * pixel;
        }
        sum = sum * scale + shift;
        for (int c = 0; c < 3; ++c) line[c * stride + x] = add ? line[c * stride + x] + sum[c] : sum[c];
    }
}

FOR_EACH_CPU void row_any(const Source& from, int y, int x1, int x2, const float* scale, const float* shift, bool add,
                          Workspace& work) {
    const int a = from.x.first[x1], b = from.x.first[x2 - 1];
    const int a_end = a + from.x.count[x1], b_end = b + from.x.count[x2 - 1];
    const int left = a < b ? a : b, right = a_end > b_end ? a_end : b_end, n = (right - left) * 3;
    float *columns = work.columns, *line = work.line;

    const float* weight = &from.y.weights[y];
    const uint8_t* pixels = from.pixels + from.y.first[y] * from.pitch + 3 * left;
    for (int i = 0; i < n; ++i) columns[i] = *weight * pixels[i];
    for (int j = 1; j < from.y.count[y]; ++j) {
        pixels += from.pitch, weight += from.y.stride;
        for (int i = 0; i < n; ++i) columns[i] += *weight * pixels[i];
    }

    const Pixel by = {scale[0], scale[1], scale[2], 0}, plus = {shift[0], shift[1], shift[2], 0};
    switch (from.x.most) {  // the usual numbers of taps, unrolled
        case 2: return across<2>(from.x, x1, x2, left, by, plus, add, columns, line, work.line_stride);
        case 3: return across<3>(from.x, x1, x2, left, by, plus, add, columns, line, work.line_stride);
        case 4: return across<4>(from.x, x1, x2, left, by, plus, add, columns, line, work.line_stride);
        case 5: return across<5>(from.x, x1, x2, left, by, plus, add, columns, line, work.line_stride);
        default: return across<0>(from.x, x1, x2, left, by, plus, add, columns, line, work.line_stride);
    }
}
