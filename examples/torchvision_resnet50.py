"""Train a ResNet-50 with CutMix in torchvision's style; stopped and started again, it continues with the same batches.

    python -m examples.torchvision_resnet50 /data/imagenet

The loop is that of torchvision's references (https://github.com/pytorch/vision/tree/main/references/classification):
nn.CrossEntropyLoss takes soft targets. The checkpoint is checkpoint.pth in the current folder. In your own project,
copy pipelines/imagenet.py beside this file and write `import imagenet`.
"""

# Before torchvision, which may bring an older nvJPEG: see docs/gpu.md.
from pipelines import imagenet

# isort: split
import argparse
from pathlib import Path

import torch
from torch import nn
from torchvision.models import get_model

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path, help="folder with train/ and val/, each with one folder for each class")
parser.add_argument("--model", default="resnet50", help="a classifier of torchvision")
parser.add_argument("--epochs", type=int, default=90)
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
args = parser.parse_args()

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
train = imagenet.train(args.data / "train", batch_size=args.batch_size, size=args.size, device=device)
val = imagenet.val(args.data / "val", batch_size=args.batch_size, size=args.size, device=device)
model = get_model(args.model, num_classes=train.num_classes).to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
lr_scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)


def train_one_epoch(model, criterion, optimizer, data_loader):
    model.train()
    for image, target in data_loader:
        loss = criterion(model(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.inference_mode()
def evaluate(model, data_loader):
    model.eval()
    correct = sum((model(image).argmax(1) == target).sum() for image, target in data_loader)
    return correct.item() / data_loader.num_samples


path = Path("checkpoint.pth")
parts = {"model": model, "optimizer": optimizer, "lr_scheduler": lr_scheduler, "loader": train}
if path.exists():
    checkpoint = torch.load(path, map_location="cpu")
    for name, part in parts.items():
        part.load_state_dict(checkpoint[name])

for epoch in range(lr_scheduler.last_epoch, args.epochs):
    train_one_epoch(model, criterion, optimizer, train)
    lr_scheduler.step()
    print(f"epoch {epoch}: accuracy {evaluate(model, val):.4f}")
    torch.save({name: part.state_dict() for name, part in parts.items()}, "checkpoint.new")
    Path("checkpoint.new").replace(path)
