// Just enough of CUDA's language for a host compiler to build a kernel and run it thread by thread.
#pragma once

#define __global__

struct uchar4 {
    unsigned char x, y, z, w;
};
struct dim3_ {
    unsigned int x, y, z;
};
static dim3_ blockIdx, threadIdx, blockDim, gridDim;
