"""Train a ResNet-50 with CutMix and Accelerate; stopped and started again, it continues with the same batches.

    python -m examples.accelerate_resnet50 /data/imagenet
    torchrun --nproc-per-node 2 -m examples.accelerate_resnet50 /data/imagenet

Accelerate writes the state of rank 0 into a checkpoint; `dc.AllRanks` gathers the states of all ranks in it. Pass
neither the loaders nor the schedule to `accelerator.prepare`: it would leave a loader as it is, and step the schedule
once for each process. The checkpoint is the folder checkpoint/. In your own project, copy pipelines/imagenet.py beside
this file and write `import imagenet`.
"""

# Before torchvision, which may bring an older nvJPEG: see docs/gpu.md.
import dali_cutmix as dc
from pipelines import imagenet

# isort: split
import argparse
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from torchvision.models import get_model

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path, help="folder with train/ and val/, each with one folder for each class")
parser.add_argument("--model", default="resnet50", help="a classifier of torchvision")
parser.add_argument("--epochs", type=int, default=90)
parser.add_argument("--batch-size", type=int, default=256, help="of each process")
parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
parser.add_argument("--checkpoint-every", type=int, default=5000, help="steps")
args = parser.parse_args()

accelerator = Accelerator()
shard = (accelerator.process_index, accelerator.num_processes)
options = {"batch_size": args.batch_size, "size": args.size, "device": accelerator.device, "shard": shard}
train = imagenet.train(args.data / "train", **options)
val = imagenet.val(args.data / "val", **options)
model = get_model(args.model, num_classes=train.num_classes)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs * len(train))
model, optimizer = accelerator.prepare(model, optimizer)
accelerator.register_for_checkpointing(dc.AllRanks(train), scheduler)
if Path("checkpoint").exists():
    accelerator.load_state("checkpoint")


@torch.inference_mode()
def evaluate():
    model.eval()
    counts = torch.zeros(2, device=accelerator.device)
    for images, labels in val:
        counts[0] += (model(images).argmax(1) == labels).sum()
        counts[1] += len(labels)
    correct, total = accelerator.reduce(counts).tolist()
    return correct / total


for epoch in range(scheduler.last_epoch // len(train), args.epochs):
    model.train()
    for images, targets in train:
        loss = criterion(model(images), targets)
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
        scheduler.step()
        if scheduler.last_epoch % args.checkpoint_every == 0:
            accelerator.save_state("checkpoint")
    accelerator.print(f"epoch {epoch}: accuracy {evaluate():.4f}")
    accelerator.save_state("checkpoint")
