"""A test file can be read, run and moved on its own: what two of them need is in tests/helpers or a conftest.py."""

import ast
import re

import pytest

from tests.helpers import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))
OF_TESTS = re.compile(r"tests(\.\w+)*\.(test_\w+|conftest)\b")


def imported(tree):
    """Names of all modules that a file imports, in functions too; ``from a import b`` may mean a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "tests." * bool(node.level) + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def code_in_strings(tree):
    """Programs that a test starts in another process."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
            yield node.value


def imported_tests(source):
    tree = ast.parse(source)
    return [name for text in (*imported(tree), *code_in_strings(tree)) for name in OF_TESTS.findall(text)]


@pytest.mark.parametrize(
    "source",
    [
        "from tests.train.test_a import helper",
        "from tests.train import test_a as other",
        "import tests.train.test_a",
        "def f():\n    from tests.conftest import folder",
        "from .test_a import helper",
        "CODE = 'import tests.train.test_a as t'",
    ],
)
def test_an_import_of_a_test_file_is_found(source):
    assert imported_tests(source)
    assert not imported_tests(source.replace("test_a", "helpers").replace("conftest", "helpers"))


def test_no_file_imports_a_test_file():
    here = [path for path in FILES if path.name != "test_structure.py"]
    found = {str(path.relative_to(ROOT)): imported_tests(path.read_text()) for path in here}
    assert len(found) > 100
    assert {path: names for path, names in found.items() if names} == {}, "move what they share to tests/helpers"


def test_fixtures_are_in_test_files_and_conftest_files_only():
    """pytest finds them there by itself, so nobody imports one."""
    helpers = [path for path in FILES if path.parent.name == "helpers"]
    assert helpers
    assert [path.name for path in helpers if re.search(r"@pytest\.fixture", path.read_text())] == []


def test_marks_of_gpu_tests_are_in_their_own_files():
    """``python -m bench gpu`` looks for the marker in the text of test files; so here it is written in parts."""
    assert [path.name for path in FILES if path.parent.name == "helpers" and "mark." + "gpu" in path.read_text()] == []


def test_each_helper_is_used_and_in_the_map():
    readme = (ROOT / "tests" / "README.md").read_text()
    texts = {path: path.read_text() for path in FILES}
    for path in FILES:
        if path.parent.name != "helpers" or path.name == "__init__.py":
            continue
        assert f"`{path.name}`" in readme, f"{path.name} is missing in tests/README.md"
        assert any(re.search(rf"\b{path.stem}\b", text) for other, text in texts.items() if other != path), path.name
