"""Train a ResNet-50 with CutMix in timm's style; stopped and started again, it continues with the same batches.

    python -m examples.timm_resnet50 /data/imagenet

The loader takes the place of timm's loader, `Mixup` and `FastCollateMixup` together. timm's train.py switches mixing
off for the last epochs by `loader.mixup_enabled`, as here; the loader's state includes it. Checkpoints are in output/.
In your own project, copy pipelines/imagenet.py beside this file and write `import imagenet`.
"""

# Before torchvision, which may bring an older nvJPEG: see docs/gpu.md.
from pipelines import imagenet

# isort: split
import argparse
from pathlib import Path

import timm
import torch
from timm.loss import SoftTargetCrossEntropy
from timm.models import resume_checkpoint
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, CheckpointSaver, accuracy

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path, help="folder with train/ and val/, each with one folder for each class")
parser.add_argument("--model", default="resnet50", help="a classifier of timm")
parser.add_argument("--epochs", type=int, default=90)
parser.add_argument("--mixup-off-epoch", type=int, default=80, help="epochs from this one on are not mixed")
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
args = parser.parse_args()

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
loader = imagenet.train(args.data / "train", batch_size=args.batch_size, size=args.size, device=device)
val = imagenet.val(args.data / "val", batch_size=args.batch_size, size=args.size, device=device)
model = timm.create_model(args.model, num_classes=loader.num_classes).to(device)
loss_fn = SoftTargetCrossEntropy()
optimizer = create_optimizer_v2(model, opt="lamb", lr=5e-3, weight_decay=0.02)
lr_scheduler, _ = create_scheduler_v2(
    optimizer, num_epochs=args.epochs, warmup_epochs=5, step_on_epochs=False, updates_per_epoch=len(loader)
)


def train_one_epoch(epoch):
    if epoch >= args.mixup_off_epoch:
        loader.mixup_enabled = False
    losses = AverageMeter()
    model.train()
    for num_updates, (input, target) in enumerate(loader, epoch * len(loader) + 1):
        loss = loss_fn(model(input), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.update(loss.item(), len(input))
        lr_scheduler.step_update(num_updates, metric=losses.avg)
    return losses.avg


@torch.inference_mode()
def validate():
    top1 = AverageMeter()
    model.eval()
    for input, target in val:
        top1.update(accuracy(model(input), target)[0].item(), len(input))
    return top1.avg


output = Path("output")
output.mkdir(exist_ok=True)
saver, start_epoch = CheckpointSaver(model, optimizer, checkpoint_dir=output), 0
if (last := output / "last.pth.tar").exists():
    start_epoch = resume_checkpoint(model, last, optimizer)
    loader.load_state_dict(torch.load(output / f"loader-{start_epoch}.pt"))
for epoch in range(start_epoch, args.epochs):
    print(f"epoch {epoch}: loss {train_one_epoch(epoch):.4f}")
    torch.save(loader.state_dict(), output / f"loader-{epoch + 1}.pt")
    saver.save_checkpoint(epoch, metric=validate())
