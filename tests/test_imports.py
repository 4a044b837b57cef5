"""The structure of the code: imports go down the floors, from one package to another through its face, in no circle."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers import ROOT

FLOORS = {
    "dali_cutmix": [
        {"_version", "_commands", "utils"},
        {"image_headers"},
        {"_dali", "sources", "mixing", "losses"},
        {"gpu"},
        {"ops"},
        {"fused", "bad_samples", "detection", "options"},
        {"loader"},
        {"pack", "check"},
    ],
    "pipelines": [
        {"imagenet", "cifar", "cub", "ssd", "faster_rcnn", "captions", "ood", "coco", "voc"},
    ],
    "train": [
        {"config", "interrupts", "reporting"},
        {"data", "engine", "models", "recipes"},
        {"tasks"},
        {"evaluation"},
        {"cli", "launch"},
        {"study"},
        {"evaluate", "__main__"},
    ],
    "bench": [
        {"common"},
        {"loaders", "step", "decode", "soak"},
        {"tune", "gpu"},
        {"kernel", "startup", "gallery"},
        {"__main__"},
    ],
}
"""Packages and modules of each folder, from the lowest floor to the highest. What is on a floor imports from below."""

ABOVE = {"dali_cutmix": set(), "pipelines": {"dali_cutmix"}, "train": {"dali_cutmix", "pipelines"}}
ABOVE["bench"] = {"dali_cutmix", "pipelines", "train"}
"""Folders that each of the four may import."""


def modules(root: Path) -> dict[str, Path]:
    """Every module below the four folders, by its dotted name; a package by its own."""
    found = {}
    for folder in FLOORS:
        for path in (root / folder).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


SOURCES = (".py", ".cpp", ".h", ".cu", ".cuh", ".html")
MODULES = modules(ROOT)
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}


@cache
def tree(name: str) -> ast.Module:
    """A module, parsed."""
    return ast.parse(MODULES[name].read_text())


@cache
def imports(name: str) -> list[tuple[str, str | None]]:
    """What a module imports of the four folders: (module, name); in functions and under TYPE_CHECKING, too."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: a relative import; write the whole name"
            found += [(node.module, alias.name) for alias in node.names]
    found = [(f"{base}.{part}", None) if f"{base}.{part}" in MODULES else (base, part) for base, part in found]
    return [(base, part) for base, part in found if base.split(".")[0] in FLOORS]


def package_of(name: str) -> str:
    """The package that a module is in; a package is in itself."""
    return name if name in PACKAGES else name.rpartition(".")[0]


def floor(name: str) -> int:
    """A module's floor in its folder; a folder's own ``__init__`` is above all of them."""
    folder, _, rest = name.partition(".")
    if not rest:
        return len(FLOORS[folder])
    part = rest.split(".")[0]
    return next(number for number, parts in enumerate(FLOORS[folder]) if part in parts)


@cache
def defined_in(base: str, part: str | None) -> str:
    """The module that a name comes from, through the faces of packages."""
    if part is None or base not in PACKAGES:
        return base
    if f"{base}.{part}" in MODULES:
        return f"{base}.{part}"
    for node in tree(base).body:
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == part for alias in node.names):
            return defined_in(node.module, part)
    return base


@pytest.mark.parametrize("folder", FLOORS)
def test_every_package_has_its_floor(folder):
    parts = {name.split(".")[1] for name in MODULES if name.startswith(f"{folder}.")}
    named = [part for parts_of_floor in FLOORS[folder] for part in parts_of_floor]
    assert sorted(named) == sorted(parts)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name):
    """To a lower floor of the same folder, or to a folder below; never up, and never to the side."""
    folder = name.split(".")[0]
    for base, part in imports(name):
        other = base.split(".")[0]
        if other != folder:
            assert other in ABOVE[folder], f"{name} imports {base}, which is above it"
            continue
        target = defined_in(base, part)
        same = name.split(".")[1:2] == target.split(".")[1:2]
        assert same or floor(target) < floor(name), f"{name} imports {target}, which is not below it"


@pytest.mark.parametrize("name", MODULES)
def test_imports_of_another_package_go_through_its_face(name):
    """``from dali_cutmix.sources import Source``, not ``from dali_cutmix.sources.source import Source``."""
    own = package_of(name)
    for base, _ in imports(name):
        package = package_of(base)
        family = own == package or own.startswith(f"{package}.")
        if base in PACKAGES or package in FLOORS or family:
            continue
        if name.endswith("__main__") and base.endswith(".command"):  # a command, imported when it is given
            continue
        if MODULES[name].name == "__init__.py" and package.startswith(f"{own}."):
            continue
        assert imported_as_module(name, base), f"{name} imports from {base}; take it from {package}"


def imported_as_module(name: str, base: str) -> bool:
    """Whether a module is imported as ``from package import module``, which the package offers."""
    package, _, module = base.rpartition(".")
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom) and node.module == base:
            return False
    return module in offered(package)


def offered(package: str) -> set[str]:
    """``__all__`` of a package."""
    for node in tree(package).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def test_no_circle():
    """Among modules, whatever package they are in and wherever the import stands."""
    graph = {
        name: {defined_in(base, part) for base, part in imports(name)} - {name}
        for name in MODULES
        if name not in PACKAGES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_says_what_it_is(name):
    assert ast.get_docstring(tree(name))


@pytest.mark.parametrize("name", sorted(PACKAGES - {"pipelines", "train", "bench"}))
def test_a_package_offers_what_others_take(name):
    from_outside = {
        part or base.rpartition(".")[2]
        for other in MODULES
        if package_of(other) != name and not package_of(other).startswith(f"{name}.")
        for base, part in imports(other)
        if base == name or (part is None and base.rpartition(".")[0] == name and base not in PACKAGES)
    }
    from_outside = {part for part in from_outside if part and part != "command"}
    assert from_outside <= offered(name) | {name.rpartition(".")[2]}


def test_no_folder_has_more_than_16_source_files():
    folders = {path.parent for path in MODULES.values()}
    crowded = {
        str(folder.relative_to(ROOT)): count
        for folder in folders
        if (count := sum(path.suffix in SOURCES for path in folder.iterdir())) > 16
    }
    assert not crowded


def test_no_module_has_more_than_260_lines():
    paths = [path for folder in FLOORS for path in (ROOT / folder).rglob("*") if path.suffix in SOURCES]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert not {name: count for name, count in lines.items() if count > 260}
