"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from train.engine.metrics_log import MetricsLog, Row
from train.engine.progress import Stopwatch, progress_bar
from train.engine.run import Run


def fit(run: Run, stop: Callable[[], bool] = lambda: False) -> Row | None:
    """Train a run from its current step to its end; return the last row of metrics.csv.

    Example::

        from train.engine import Preemption, fit, join_process_group
        from train.launch import start
        from train.recipes import digits

        with join_process_group("auto") as ranks:
            run = start(digits(), ranks)
            with Preemption(ranks) as preemption:
                last = fit(run, preemption)  # None after SIGTERM; last.pt is written

    The loop waits for the device only every ``log_every`` steps, at checkpoints and at the end of an epoch; a task's
    loss may wait more often (detectors match the boxes of each image separately). ``last.pt`` is the newest checkpoint,
    ``best.pt`` the checkpoint of the epoch with the best validation. A finished run is not trained again, but its last
    epoch is validated if it was not.

    Args:
        run: see `train.engine.Run`.
        stop: called after each step; if it returns True within an epoch (in all processes), the run is saved, and None
            is returned.

    Raises:
        FloatingPointError: the loss is NaN or infinite; the last checkpoint is from before.
        OSError: a checkpoint, metrics.csv or the TensorBoard events cannot be written; the last checkpoint is intact.
    """
    config, ranks, task = run.config, run.ranks, run.task
    steps, total = len(run.loader), run.total
    epochs = -(-total // steps)
    log = MetricsLog(run.folder, run.step, ranks.is_first, task.metrics)
    log.table(run.history)
    watch = Stopwatch(config.batch_size)
    if run.step == total and run.history and task.best not in run.history[-1]:
        ranks.enter(f"validating after step {run.step}")
        row = run.history.pop()
        _complete(run, log, row | task.evaluate(run.evaluated), epochs)
    while run.step < total:
        began, epoch = time.perf_counter(), run.epoch + 1
        last = min(epoch * steps, total)
        run.model.train()
        ranks.enter(f"reading the batch of step {run.step + 1}")
        with progress_bar(steps, run.step % steps, f"epoch {epoch}/{epochs}", ranks.is_first) as bar:
            for batch in watch.batches(run.loader):
                ranks.enter(f"in the forward pass of step {run.step + 1}", waits=True)
                rate = run.schedule(run.step)
                for group in run.optimizer.param_groups:
                    group["lr"] = rate * group.get("lr_scale", 1.0)  # older checkpoints lack it
                with torch.autocast(ranks.device.type, torch.bfloat16, enabled=config.amp):
                    loss = task.loss(run.forward, list(batch))
                ranks.enter(f"in the backward pass of step {run.step + 1}", waits=True)
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
                if run.step == last:
                    break
                if stopping or due:
                    finite(loss.item(), run.step)
                    run.save("last.pt")
                    if stopping:
                        log.close()
                        return None
                ranks.enter(f"reading the batch of step {run.step + 1}")

        ranks.enter(f"validating after step {run.step}")
        trained = last - (epoch - 1) * steps
        train_loss = finite(ranks.sum(run.loss_sum).item() / (trained * ranks.world_size), run.step)
        speed, waiting = watch.read()
        run.synchronize()
        validated = epoch % config.val_every == 0 or run.step == total
        row = {
            "epoch": epoch,
            "lr": rate,
            "train_loss": train_loss,
            **(task.evaluate(run.evaluated) if validated else {}),
            "images_per_second": speed,
            "data_wait_share": waiting,
            "seconds": time.perf_counter() - began,
        }
        run.loss_sum.zero_()
        _complete(run, log, row, epochs)
    log.close()
    return run.history[-1]


def _complete(run: Run, log: MetricsLog, row: Row, epochs: int) -> None:
    """End an epoch: add its row to the history, log it, save the checkpoints."""
    best = run.task.best
    is_best = row.get(best, -1.0) > max((past.get(best, -1.0) for past in run.history), default=-1.0)
    validation = run.task.describe(row) if best in row else "not validated"
    run.history.append(row)
    # last.pt is written after the events and best.pt: a run killed in between repeats this and writes all of them.
    log.epoch(run.step, row, epochs, validation)
    run.save(*(["best.pt"] if is_best else []), "last.pt")
    log.table(run.history)


def finite(loss: float, step: int) -> float:
    """Return the loss if it is finite.

    Raises:
        FloatingPointError: it is NaN or infinite.
    """
    if loss - loss != 0:
        raise FloatingPointError(
            f"the loss is {loss} after step {step}; lower --lr or raise --warmup-epochs (checkpoints are from before)."
        )
    return loss
