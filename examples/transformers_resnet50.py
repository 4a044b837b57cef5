"""Train a ResNet-50 with CutMix and the Trainer of Hugging Face's transformers; stopped and started again, it continues
with the same batches.

    python -m examples.transformers_resnet50 /data/imagenet
    torchrun --nproc-per-node 2 -m examples.transformers_resnet50 /data/imagenet

Trainer passes batches to the model by name, and gathers predictions only from batches of one size: `Batches` names the
tensors, and fills the last batch of an evaluation with images whose label -100 the loss and the metric leave out. Each
rank saves its loader's state into Trainer's checkpoint; with it, `ignore_data_skip=True` skips nothing that should be
seen. Checkpoints are in output/. In your own project, copy pipelines/imagenet.py beside this file and write `import
imagenet`.
"""

# Before torchvision, which may bring an older nvJPEG: see docs/gpu.md.
from pipelines import imagenet

# isort: split
import argparse
from pathlib import Path

import torch
from torch.nn.functional import pad
from torchvision.models import get_model
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path, help="folder with train/ and val/, each with one folder for each class")
parser.add_argument("--model", default="resnet50", help="a classifier of torchvision")
parser.add_argument("--epochs", type=int, default=90)
parser.add_argument("--batch-size", type=int, default=256, help="of each process")
parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
parser.add_argument("--checkpoint-every", type=int, default=5000, help="steps")
args = parser.parse_args()


class Batches:
    def __init__(self, loader):
        self.loader, self.dataset, self.set_epoch = loader, loader.dataset, loader.set_epoch

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for images, labels in self.loader:
            if missing := self.loader.batch_size - len(images):
                images, labels = pad(images, (0, 0) * 3 + (0, missing)), pad(labels, (0, missing), value=-100)
            yield {"images": images, "labels": labels}


class LoaderTrainer(Trainer):
    def get_train_dataloader(self):
        return Batches(train)

    def get_eval_dataloader(self, eval_dataset=None):
        return Batches(val)

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        logits = model(inputs["images"])
        loss = criterion(logits, inputs["labels"])
        return (loss, {"logits": logits}) if return_outputs else loss


class SaveLoader(TrainerCallback):
    def on_save(self, args, state, control, **kwargs):
        torch.save(train.state_dict(), f"{args.output_dir}/checkpoint-{state.global_step}/{state_file}")


def accuracy(p):
    return {"accuracy": (p.predictions.argmax(1) == p.label_ids)[p.label_ids >= 0].mean()}


sizes = {"per_device_train_batch_size": args.batch_size, "per_device_eval_batch_size": args.batch_size}
more = {"save_steps": args.checkpoint_every, "ignore_data_skip": True, "eval_strategy": "epoch", "report_to": "none"}
training = TrainingArguments("output", num_train_epochs=args.epochs, label_names=["labels"], **sizes, **more)
shard, state_file = (training.process_index, training.world_size), f"loader-{training.process_index}.pt"
options = {"batch_size": args.batch_size, "size": args.size, "device": training.device, "shard": shard}
train = imagenet.train(args.data / "train", **options)
val = imagenet.val(args.data / "val", **options)
model, criterion = get_model(args.model, num_classes=train.num_classes), torch.nn.CrossEntropyLoss()
trainer = LoaderTrainer(model, training, None, train.dataset, val.dataset, compute_metrics=accuracy)
trainer.add_callback(SaveLoader())
last = get_last_checkpoint("output") if Path("output").exists() else None
if last:
    train.load_state_dict(torch.load(f"{last}/{state_file}"))
trainer.train(resume_from_checkpoint=last)
