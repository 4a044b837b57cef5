// One launch for a batch: flip and paste by plan, uint8 HWC in, uint8 HWC out.
//
// pointers  2·N addresses on the device: N images, then N plan rows of 7 int32
//           (partner, x1, y1, x2, y2, flip, weight; see plan.py)
// fill      value of a hole for each of up to 4 channels
// out       N·H·W·C bytes
//
// Grid: x covers the pixels of one image, y the samples. Integer arithmetic only, so that every compiler gives
// the same bits as the NumPy reference in paste.py.

extern "C" __global__ void paste(const unsigned long long* pointers, int n, int height, int width, int channels,
                                 uchar4 fill, unsigned char* out) {
    const int sample = blockIdx.y;
    const int pixel = blockIdx.x * blockDim.x + threadIdx.x;
    if (pixel >= height * width) return;
    const int y = pixel / width, x = pixel - y * width;

    const int* row = (const int*)pointers[n + sample];
    const int partner = row[0], flip = row[5], weight = row[6];
    const bool inside = x >= row[1] && x < row[3] && y >= row[2] && y < row[4];

    const unsigned char* own =
        (const unsigned char*)pointers[sample] + ((long long)y * width + (flip ? width - 1 - x : x)) * channels;
    const unsigned char* other = own;
    if (inside && partner >= 0) {
        const int partner_flip = ((const int*)pointers[n + partner])[5];
        other = (const unsigned char*)pointers[partner] +
                ((long long)y * width + (partner_flip ? width - 1 - x : x)) * channels;
    }
    const unsigned char hole[4] = {fill.x, fill.y, fill.z, fill.w};
    unsigned char* to = out + ((long long)sample * height * width + pixel) * channels;
    for (int c = 0; c < channels; ++c) {
        if (!inside) {
            to[c] = own[c];
        } else if (partner < 0) {
            to[c] = hole[c];
        } else {
            to[c] = (unsigned char)((own[c] * weight + other[c] * (65536 - weight) + 32768) >> 16);
        }
    }
}
