"""Train a ResNet-50 on a graph of your own: DALI's operators stand between those of this library.

    python -m examples.custom_graph /data/imagenet

The random numbers of DALI's operators (here the colours) are in the loader's state too: `loader.state_dict()` and
`loader.load_state_dict(state)` continue with the same batches. The file needs nothing but the installed library.
"""

# Before torchvision, which may bring an older nvJPEG: see docs/gpu.md.
import dali_cutmix as dc

# isort: split
import argparse
from pathlib import Path

import torch
from nvidia.dali import fn, pipeline_def
from torch import nn
from torchvision.models import get_model

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path, help="folder with train/, which has one folder for each class")
parser.add_argument("--model", default="resnet50", help="a classifier of torchvision")
parser.add_argument("--num-classes", type=int, default=1000)
parser.add_argument("--epochs", type=int, default=90)
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
args = parser.parse_args()


@pipeline_def(**dc.pipeline_options(batch_size=args.batch_size))
def graph():
    jpegs, labels = dc.read_folder(args.data / "train")
    images = dc.random_resized_crop(jpegs, size=args.size)
    images = fn.color_twist(
        images,
        brightness=fn.random.uniform(range=(0.6, 1.4)),
        contrast=fn.random.uniform(range=(0.6, 1.4)),
        saturation=fn.random.uniform(range=(0.6, 1.4)),
    )
    images, targets = dc.mix(images, labels, dc.CutMix(alpha=1.0), num_classes=args.num_classes)
    return dc.normalize(images), targets


loader = dc.Loader(graph())
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = get_model(args.model, num_classes=args.num_classes).to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(args.epochs):
    for images, targets in loader:
        loss = criterion(model(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
