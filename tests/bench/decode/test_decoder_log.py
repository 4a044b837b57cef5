"""Images counted by who decoded them, from the messages of nvImageCodec and DALI."""

from bench.decode import child
from bench.decode.decoder_log import DecoderCounts, count_images, engines

ON_A_CPU = """\
\x1b[0;32m[INFO] \x1b[0m[nvjpeg-ext] nvJPEG version: 12.4.0 (CUDA version is 12.0)
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] create libjpeg_turbo_decoder load_hint 1 load_hint_policy 2
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] ImageGenericDecoder::decode num_samples=4
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] decode num_samples=4
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] 1: opencv_png_decoder process #3
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] 1: libjpeg_turbo_decoder process #0
\x1b[0;32m[INFO] \x1b[0;32m[INFO] \x1b[0m\x1b[0m[[nvimgcodec] nvimgcodec] 1: libjpeg_turbo_decoder process #1
0: libjpeg_turbo_decoder process #2
"""
"""Recorded: nvImageCodec 0.9.0, DALI 2.4.0; the last two lines as two threads may write them."""
ON_A_GPU = """\
[INFO] [nvjpeg_hw_decoder] HW decoder available num_hw_engines=7 num_cores_per_hw_engine=1
[WARNING] [nvjpeg_cuda_decoder] ROI decode with fancy upsampling may produce wrong results on image edge
[INFO] [nvimgcodec] ImageGenericDecoder::decode num_samples=8
[INFO] [nvimgcodec] decode num_samples=8
[INFO] [nvimgcodec] 3: nvjpeg_cuda_decoder process #5
[INFO] [nvimgcodec] 4: libjpeg_turbo_decoder process #6
[INFO] [nvimgcodec] 5: nvjpeg_hw_decoder process #2
[INFO] [nvimgcodec] nvjpeg_hw_decoder failed #1. Trying next: nvjpeg_cuda_decoder
[INFO] [nvimgcodec] 4: nvjpeg_cuda_decoder process #1
"""
"""Put together from nvImageCodec's messages: nobody has seen one yet."""


def test_images_are_counted_by_who_decoded_them():
    assert count_images(ON_A_CPU) == DecoderCounts(hardware=0, cuda=0, cpu=4)
    assert count_images(ON_A_GPU) == DecoderCounts(hardware=5, cuda=2, cpu=1)
    assert count_images("") == DecoderCounts(0, 0, 0)
    assert (engines(ON_A_GPU), engines(ON_A_CPU)) == ((7, 1), None)


def test_of_dalis_messages_the_line_that_tells_is_kept():
    message = (
        "Critical error in pipeline:\nError in MIXED operator `x`,\nencountered:\n\nnvJPEG error\n[/a.cpp:3] more\n"
    )
    assert child.reason(message) == "nvJPEG error"
    assert child.reason("CUDA out of memory") == "CUDA out of memory"
