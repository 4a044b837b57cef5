"""Report of a study: a self-contained HTML file, and the same numbers as JSON."""

from __future__ import annotations

import base64
import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2

from dali_cutmix.utils import write_atomically
from train.engine import CHANGEABLE_ON_RESUME, resolve_device
from train.recipes import RECIPES
from train.reporting import curves, learning_curves, machine, versions
from train.study import published, tables
from train.study.options import CHANGEABLE_ON_RERUN
from train.study.plan import Plan
from train.study.result_files import read_result
from train.study.results import CurvePoint, Mean, Transferred
from train.study.tables import NAMES, ResultsByMethod
from train.study.transfer import EVALUATIONS


def write(plan: Plan, results: ResultsByMethod, transferred: Transferred, command: str) -> Path:
    """Write ``results.json`` and ``report.html`` into the study's folder; return the path of the latter.

    Args:
        plan: the study's plan.
        results: results of the evaluations.
        transferred: results of the fine-tuning.
        command: the command that makes the study, to be shown.

    Raises:
        OSError: the files cannot be written.
    """
    folder = plan.options.folder
    content = as_json(plan, results, transferred, command)
    write_atomically(folder / "results.json", json.dumps(content, indent=1).encode())
    write_atomically(folder / "report.html", as_html(plan, results, transferred, content).encode())
    return folder / "report.html"


def as_json(plan: Plan, results: ResultsByMethod, transferred: Transferred, command: str) -> dict[str, Any]:
    """The content of ``results.json``: all numbers, and what was measured."""
    missing = [NAMES[method] for method in plan.options.methods if method not in results]
    for recipe in plan.options.transfer:
        methods = dict.fromkeys(one.method for one in (*plan.trainings, *plan.random))
        missing += [f"{recipe} of {NAMES[method]}" for method in methods if method not in transferred.get(recipe, {})]
    return {
        "command": command,
        "options": {name: str(value) for name, value in vars(plan.options).items() if name not in CHANGEABLE_ON_RERUN},
        "follows_recipe": follows_recipe(plan),
        "left_out": plan.left_out,
        "missing": missing,
        "machine": machine(str(resolve_device(plan.options.device, local_rank=0, world_size=1))),
        "versions": versions(),
        "rules": rules(plan, next(iter(results))),
        "trainings": [
            {"method": one.method, "seed": one.seed, "folder": one.folder.name, "options": one.config.to_dict()}
            for one in plan.trainings
        ],
        "methods": {method: asdict(found) for method, found in results.items()},
        "transfer": {
            recipe: {method: {name: asdict(mean) for name, mean in of.items()} for method, of in found.items()}
            for recipe, found in transferred.items()
        },
        "published": {
            "transfer": published.TRANSFER,
            "top1_error": published.TOP1_ERROR.get(plan.options.recipe),
            "top1_loc": published.TOP1_LOC.get(plan.options.recipe),
            "out_of_distribution": published.OUT_OF_DISTRIBUTION,
            "measured_on": published.MEASURED_ON,
        },
    }


MAY_DIFFER_FROM_RECIPE = CHANGEABLE_ON_RESUME - {"epochs", "iterations"} | {
    "mix",
    "seed",
    "init",
    "amp",
    "channels_last",
}


def follows_recipe(plan: Plan) -> bool:
    """Whether the trainings follow the recipe, on the user's data; method, seed, paths and machine may differ."""
    for one in plan.trainings:
        here, there = one.config.to_dict(), RECIPES[plan.options.recipe]().to_dict()
        if one.method in ("mixup", "cutout"):
            there["mix_probability"] = 1.0  # as they were published
        if any(here[name] != there[name] for name in here if name not in MAY_DIFFER_FROM_RECIPE):
            return False
    return plan.options.data is not None


def rules(plan: Plan, method: str) -> dict[str, str]:
    """The evaluators' descriptions of their rules, from the results of one method."""
    folder = next(one.folder for one in plan.trainings if one.method == method)
    found = {name: read_result(folder, name) for name in plan.evaluations}
    rules = {
        "validation": f"{found['eval']['images']} images of {found['eval']['classes']} classes",
        "weights": "averaged ones (ema)" if found["eval"]["weights"] == "ema" else "the last ones",
        "in-between samples": f"{found['robustness']['between']}; pairs: {found['robustness']['pairs']}",
        "uncertainty": found["uncertainty"]["score"],
    }
    if "localization" in found:
        rules["localization"] = f"map {found['localization']['map']}; {found['localization']['rule']}"
        rules["MaxBoxAcc"] = found["localization"]["max_box_acc_rule"]
    return rules


def as_html(plan: Plan, results: ResultsByMethod, transferred: Transferred, content: dict[str, Any]) -> str:
    """The content of ``report.html``, which includes all pictures."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    first = {NAMES[one.method]: one.folder for one in plan.trainings if one.seed == 0}
    by_name = {NAMES[method]: found for method, found in results.items()}
    recipe, follows = plan.options.recipe, content["follows_recipe"]
    given = {text.partition("=")[0] for text in plan.options.transfer_data}
    return template.get_template("report.html").render(
        content=content,
        options=plan.options,
        is_same=follows,
        is_same_detection=follows and recipe == published.OUT_OF_DISTRIBUTION_RECIPE,
        same_transfers=given if follows and recipe == published.TRANSFER_RECIPE else (),
        errors=tables.errors(results, plan.options.recipe),
        attacks=tables.attacks(results),
        detections=tables.detections(results),
        localizations=tables.localizations(results, plan.options.recipe),
        transfers=tables.transfers(transferred),
        pictures={
            f"{recipe}, {name}": _inline_file(folder / recipe / f"last.{EVALUATIONS[recipe]}.png")
            for recipe in transferred
            for name, folder in first.items()
        },
        learning=_inline(learning_curves({name: _plain(found.training) for name, found in by_name.items()})),
        curves=_inline(
            curves({name: {e: _plain(rows) for e, rows in found.curves.items()} for name, found in by_name.items()})
        ),
        histograms={name: _inline_file(folder / "last.uncertainty.png") for name, folder in first.items()},
        overlays={name: _inline_file(folder / "last.localization.png") for name, folder in first.items()},
        commands={
            f"{NAMES[one.method]} {one.seed}": [shlex.join(["python", *step.command[1:]]) for step in one.steps]
            for one in (*plan.trainings, *plan.random)
        },
    )


def _plain(rows: list[dict[str, Any]]) -> list[CurvePoint]:
    """Rows for drawing: means, and the standard deviation of ``top1`` as ``std``."""
    return [
        {name: value.mean if isinstance(value, Mean) else value for name, value in row.items()}
        | {"std": row["top1"].std or 0.0}
        for row in rows
    ]


def _inline_file(path: Path) -> str:
    return _inline(path.read_bytes()) if path.exists() else ""


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
