"""What README, CONTRIBUTING and docs point to exists; the README is short, and its numbers are the measured ones."""

import ast
import inspect
import json
import re

import pytest
import yaml

import dali_cutmix as dc
from tests.helpers import ROOT
from tests.helpers.documents import DOCUMENTS, blocks, headings, inline_code, links, prose

README = ROOT / "README.md"
FOLDERS = ("dali_cutmix", "pipelines", "train", "bench", "examples", "docs", "tests")
RATIOS = {
    "torchvision (PIL), CutMix": "torchvision-pil",
    "torchvision (`torchvision.io`), CutMix": "torchvision-io",
    "SPDL, no mixing": "spdl",
    "timm, CutMix": "timm",
    "its own unfused path, CutMix": "ours-unfused",
    "plain DALI, no mixing": "dali",
    "FFCV on the same JPEGs, no mixing": "ffcv",
    "itself without mixing": "ours",
    "DALI decoding and cropping alone, the ceiling": "dali-decode",
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert ROOT in target.parents, link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_folders_that_are_named_exist(document):
    named = [code for code in inline_code(document) if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./]*", code)]
    assert not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_names_of_the_library_are_public(document):
    assert set(re.findall(r"\bdc\.(\w+)", document.read_text())) <= set(dc.__all__)


def test_calls_in_tables_have_arguments_that_exist():
    """Such as ``dc.CutMix(probability=0.5)``."""
    calls = 0
    for document in DOCUMENTS:
        for code in inline_code(document):
            if not re.search(r"\bdc\.\w+\(", code):
                continue
            for node in ast.walk(ast.parse(code.replace("…", "..."))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("dc."):
                    parameters = inspect.signature(getattr(dc, node.func.attr)).parameters
                    free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
                    assert free or {keyword.arg for keyword in node.keywords} <= parameters.keys(), code
                    calls += 1
    assert calls > 10


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 200


def test_the_readme_says_early_that_nothing_has_run_on_a_gpu():
    assert "nothing has run on a GPU yet" in "\n".join(README.read_text().splitlines()[:25])


def test_the_readme_links_every_document_and_every_trainer():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}
    assert set((ROOT / "docs").glob("*.md")) <= linked
    assert set((ROOT / "examples").glob("*_resnet50.py")) <= linked


def test_the_tree_is_the_checkout():
    (tree,) = [block.text for block in blocks(README, "") if block.text.startswith("dali_cutmix/")]
    top, inner = (set(re.findall(rf"^{indent}([\w]+)/", tree, re.M)) for indent in ("", "  "))
    assert top == set(FOLDERS)
    assert inner == {path.parent.name for path in (ROOT / "dali_cutmix").glob("*/__init__.py")}


def test_the_speeds_are_those_of_the_json():
    rows = dict(re.findall(r"^\| than (.*) \| ([\d.]+) \|$", README.read_text(), re.M))
    measured = json.loads((ROOT / "bench/results/loaders-cpu.json").read_text())["contenders"]
    speeds = {contender["name"]: contender["images_per_second"] for contender in measured}
    assert rows == {row: f"{speeds['ours-cutmix'] / speeds[name]:.2f}" for row, name in RATIOS.items()}


def test_documents_start_with_a_title_and_have_no_line_too_long():
    for document in DOCUMENTS:
        lines = document.read_text().splitlines()
        assert lines[0].startswith("# "), document
        long = [line for line in prose(document).splitlines() if len(line) > 120 and not line.startswith("|")]
        assert not long, document


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "references"} <= citation.keys()
    assert (citation["title"], citation["version"]) == ("dali_cutmix", dc.__version__)
    assert citation["authors"][0]["name"] in (ROOT / "LICENSE").read_text()
    assert citation["license"] in (ROOT / "LICENSE").read_text().splitlines()[0]
    (paper,) = citation["references"]
    assert (paper["title"].split(":")[0], paper["authors"][0]["family-names"], paper["year"]) == ("CutMix", "Yun", 2019)
