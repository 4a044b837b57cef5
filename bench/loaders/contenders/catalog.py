"""The list of loaders that are compared; each module of this package sets one of them up."""

from bench.loaders.contenders.contender import Contender

CONTENDERS = (
    Contender("ours-cutmix", "dali_cutmix, CutMix", "ours:cutmix", ("nvidia.dali",), mixes=True),
    Contender(
        "ours-unfused",
        "dali_cutmix, CutMix, unfused",
        "ours:cutmix",
        ("nvidia.dali",),
        mixes=True,
        note="DALI's own operators resample and normalize, one after the other",
        arguments=(("fused", False),),
    ),
    Contender("ours-mixup", "dali_cutmix, Mixup", "ours:mixup", ("nvidia.dali",), mixes=True),
    Contender("ours", "dali_cutmix, no mixing", "ours:plain", ("nvidia.dali",), mixes=False),
    Contender(
        "ours-float16",
        "dali_cutmix, CutMix, float16 NHWC",
        "ours:cutmix",
        ("nvidia.dali",),
        mixes=True,
        note="half of the bytes of the others, channels last: what a model under autocast takes",
        needs_gpu=True,
        dtype="float16",
        arguments=(("dtype", "float16"), ("channels_last", True)),
    ),
    Contender(
        "dali",
        "plain DALI, no mixing",
        "dali:plain",
        ("nvidia.dali",),
        mixes=False,
        note="on a GPU with DALI's default upsampling of chroma: nvJPEG below 13.2 decodes no regions with fancy "
        "upsampling",
    ),
    Contender(
        "dali-decode",
        "DALI, decode + crop only",
        "dali:decode",
        ("nvidia.dali",),
        mixes=False,
        note="no resampling, no normalization, no tensors: no loader that decodes so can be faster; on a GPU without "
        "fancy upsampling, as plain DALI",
    ),
    Contender(
        "dali-decode-whole",
        "DALI, whole images decoded only",
        "dali:decode",
        ("nvidia.dali",),
        mixes=False,
        note="whole images, with the fancy upsampling of this library's loader; no cropping",
        arguments=(("whole", True),),
    ),
    Contender(
        "dali-read",
        "DALI, reading only",
        "ours:read",
        ("nvidia.dali",),
        mixes=False,
        note="this library's reader, nothing decoded",
    ),
    Contender(
        "torchvision-pil",
        "torchvision (PIL), CutMix",
        "torchvision:pil",
        ("torchvision",),
        mixes=True,
        note="v2 transforms, v2.CutMix in the collate function",
        processes=True,
    ),
    Contender(
        "torchvision-io",
        "torchvision (io), CutMix",
        "torchvision:io",
        ("torchvision",),
        mixes=True,
        note="torchvision.io.decode_jpeg, v2 transforms on uint8 tensors, v2.CutMix in the collate function",
        processes=True,
    ),
    Contender(
        "torchvision-gpu",
        "torchvision (nvJPEG), CutMix",
        "torchvision_gpu:batches",
        ("torchvision",),
        mixes=True,
        note="decode_jpeg of whole batches by nvJPEG, v2 kernels and v2.CutMix on the device, made ahead by threads; "
        "nvJPEG's default upsampling of chroma (torchvision has no option for it)",
        needs_gpu=True,
    ),
    Contender(
        "timm",
        "timm, CutMix",
        "timm:batches",
        ("timm",),
        mixes=True,
        note="FastCollateMixup on uint8 in the workers; normalization on the device, by the consumer where that is "
        "the CPU",
        processes=True,
        even_batch=True,
    ),
    Contender(
        "ffcv",
        "FFCV, no mixing",
        "ffcv:batches",
        ("ffcv",),
        mixes=False,
        note="has no CutMix; the same JPEG bytes in one .beton file, channels last, area resampling, fast DCT",
        copies_data=True,
    ),
    Contender(
        "ours-packed",
        "dali_cutmix, CutMix, packed",
        "ours:packed",
        ("nvidia.dali",),
        mixes=True,
        note="shards of dali_cutmix.pack",
        packed=True,
    ),
    Contender(
        "ffcv-packed",
        "FFCV, no mixing, packed",
        "ffcv:packed",
        ("ffcv",),
        mixes=False,
        note="the bytes of those shards in one .beton file",
        copies_data=True,
        packed=True,
    ),
    Contender(
        "spdl",
        "SPDL, no mixing",
        "spdl:batches",
        ("spdl.pipeline", "spdl.io"),
        mixes=False,
        note="has no CutMix; its own decoder (FFmpeg) decodes, crops, scales and flips; channels last",
    ),
)
BASELINE = "dali"
"""The loader to which the others' rates are compared."""
OURS = "ours-cutmix"
"""This library's loader."""
READING = "dali-read"
"""Reading alone: many times as fast as loaders that decode, so it is left out of their chart."""
