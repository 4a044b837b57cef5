"""Train a ResNet-50 with CutMix in Lightning; stopped and started again, it continues with the same batches.

    python -m examples.lightning_resnet50 /data/imagenet
    torchrun --nproc-per-node 2 -m examples.lightning_resnet50 /data/imagenet --devices 2

Lightning writes the state of rank 0 into a checkpoint; `dc.AllRanks` gathers the states of all ranks in it. In the
middle of an epoch Lightning restores a loader by itself; at the end of an epoch it restores only the DataModule, which
therefore has `state_dict` and `load_state_dict` too. `use_distributed_sampler` changes nothing here. Checkpoints are in
checkpoints/. In your own project, copy pipelines/imagenet.py beside this file and write `import imagenet`.
"""

# Before torchvision, which may bring an older nvJPEG: see docs/gpu.md.
import dali_cutmix as dc
from pipelines import imagenet

# isort: split
import argparse
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torchmetrics.classification import MulticlassAccuracy
from torchvision.models import get_model

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path, help="folder with train/ and val/, each with one folder for each class")
parser.add_argument("--model", default="resnet50", help="a classifier of torchvision")
parser.add_argument("--num-classes", type=int, default=1000)
parser.add_argument("--epochs", type=int, default=90)
parser.add_argument("--batch-size", type=int, default=256, help="of each process")
parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
parser.add_argument("--devices", default="auto", help="number of processes or GPUs")
parser.add_argument("--checkpoint-every", type=int, default=5000, help="steps; 0: at the end of each epoch")
args = parser.parse_args()


class ImageNet(L.LightningDataModule):
    def setup(self, stage):
        shard = (self.trainer.global_rank, self.trainer.world_size)
        options = {"batch_size": args.batch_size, "size": args.size, "num_classes": args.num_classes, "shard": shard}
        options["device"] = self.trainer.strategy.root_device
        self.train = dc.AllRanks(imagenet.train(args.data / "train", **options))
        self.val = imagenet.val(args.data / "val", **options)

    def train_dataloader(self):
        return self.train

    def val_dataloader(self):
        return self.val

    def state_dict(self):
        return self.train.state_dict()

    def load_state_dict(self, state):
        self.train.load_state_dict(state)


class Classifier(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = get_model(args.model, num_classes=args.num_classes)
        self.criterion = torch.nn.CrossEntropyLoss()
        self.accuracy = MulticlassAccuracy(args.num_classes, average="micro")

    def training_step(self, batch, batch_idx):
        images, targets = batch
        return self.criterion(self.model(images), targets)

    def validation_step(self, batch, batch_idx):
        images, labels = batch
        if len(images):  # the last batch of a rank may be empty
            self.accuracy.update(self.model(images), labels)
        self.log("accuracy", self.accuracy, prog_bar=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)


checkpoints = ModelCheckpoint("checkpoints", save_last=True, every_n_train_steps=args.checkpoint_every or None)
trainer = L.Trainer(max_epochs=args.epochs, devices=args.devices, callbacks=[checkpoints])
trainer.fit(Classifier(), datamodule=ImageNet(), ckpt_path="last")
