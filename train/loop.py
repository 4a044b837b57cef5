"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from train import classification
from train.log import Log, Row
from train.progress import Stopwatch, progress_bar
from train.run import Run


def fit(run: Run, stop: Callable[[], bool] = lambda: False) -> Row | None:
    """Train from where ``run`` stands to the last epoch; return the last row of metrics.csv.

    Where ``stop()``, asked after each step, is true within an epoch (for all processes alike), the run is saved there
    and None returned.

    Nothing waits for the device except every ``log_every`` steps, at a checkpoint and at the end of an epoch.
    ``last.pt`` is the newest checkpoint, ``best.pt`` that of the epoch with the highest validation top-1.

    Raises:
        FloatingPointError: the loss is not a number; the last checkpoint is from before.
        OSError: a checkpoint, metrics.csv or the events cannot be written; the last checkpoint is intact.
    """
    config, ranks = run.config, run.ranks
    steps = len(run.loader)
    log = Log(run.folder, run.step, active=ranks.is_first)
    log.table(run.history)
    watch = Stopwatch(config.batch_size)
    for epoch in range(run.epoch, config.epochs):
        began = time.perf_counter()
        run.model.train()
        with progress_bar(steps, run.step % steps, f"epoch {epoch + 1}/{config.epochs}", ranks.is_first) as bar:
            for images, *targets in watch.batches(run.loader):
                rate = run.schedule(run.step)
                for group in run.optimizer.param_groups:
                    group["lr"] = rate * group.get("lr_scale", 1.0)  # older checkpoints have none
                with torch.autocast(ranks.device.type, torch.bfloat16, enabled=config.amp):
                    logits = run.forward(images)
                loss = classification.loss(config, logits, targets)
                loss.backward()
                run.optimizer.step()
                run.optimizer.zero_grad()
                if run.ema:
                    run.ema.update(run.model, run.step)
                run.loss_sum += loss.detach()
                run.step += 1
                bar.update()

                if run.step % config.log_every == 0:
                    speed, waiting = watch.read()
                    value = finite(loss.item(), run.step)
                    log.step(run.step, {"train/loss": value, "train/lr": rate})
                    bar.set_postfix_str(f"loss {value:.3f}, {speed:.0f} images/s, {waiting:.0%} waiting for data")
                stopping = stop()
                due = config.checkpoint_every and run.step % config.checkpoint_every == 0
                if (stopping or due) and run.step % steps:
                    finite(loss.item(), run.step)
                    run.save("last.pt")
                    if stopping:
                        log.close()
                        return None

        train_loss = finite(ranks.sum(run.loss_sum).item() / (steps * ranks.world_size), run.step)
        speed, waiting = watch.read()
        run.synchronize()
        row = {
            "epoch": epoch + 1,
            "lr": rate,
            "train_loss": train_loss,
            **classification.evaluate(run.evaluated, run.val_loader, ranks, config.amp),
            "images_per_second": speed,
            "data_wait_share": waiting,
            "seconds": time.perf_counter() - began,
        }
        best = row["val_top1"] > max((past["val_top1"] for past in run.history), default=-1.0)
        run.history.append(row)
        run.loss_sum.zero_()
        # last.pt after the events and best.pt: a run killed in between repeats the epoch's end and writes all of it.
        log.epoch(run.step, row, config.epochs)
        run.save(*(["best.pt"] if best else []), "last.pt")
        log.table(run.history)
    log.close()
    return run.history[-1]


def finite(loss: float, step: int) -> float:
    """Pass on a loss that is a number.

    Raises:
        FloatingPointError: it is not.
    """
    if loss - loss != 0:
        raise FloatingPointError(
            f"the loss is {loss} after step {step}; lower --lr or raise --warmup-epochs (checkpoints are from before)."
        )
    return loss
