"""README, CONTRIBUTING and docs/: their code blocks, commands, links and the names in them."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.helpers import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced code block."""

    document: Path
    language: str
    text: str
    line: int
    """Of its first line in the document."""

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path, language: str) -> list[Block]:
    text = document.read_text()
    found = re.finditer(r"^```(.*)\n((?s:.*?))^```$", text, re.M)
    return [
        Block(document, match[1], match[2], text.count("\n", 0, match.start(2)) + 1)
        for match in found
        if match[1] == language
    ]


def prose(document: Path) -> str:
    """A document without its code blocks."""
    return re.sub(r"^```.*\n(?s:.*?)^```$", "", document.read_text(), flags=re.M)


def inline_code(document: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(document))


def headings(document: Path) -> set[str]:
    """Anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(document), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(document: Path) -> list[str]:
    """Targets of links and pictures within the checkout."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(document))
    return [target for target in targets if not target.startswith("http")]


def commands(document: Path) -> list[str]:
    """Command lines of a document's shell blocks and of its inline code, without comments.

    A variable that a block sets (``run="…"``) is replaced by each of its values.
    """
    found = []
    for block in blocks(document, "bash"):
        text = block.text.replace("\\\n", " ")
        values = {name: re.findall(rf'\b{name}="([^"]*)"', text) for name in re.findall(r'\b(\w+)="', text)}
        for line in text.splitlines():
            command = re.sub(r"(^|\s)#.*", "", line).strip()
            if not command or command.startswith("["):
                continue
            used = re.findall(r"\$(\w+)", command)
            found += [command.replace(f"${used[0]}", value) for value in values[used[0]]] if used else [command]
    starts = ("python ", "make ", "torchrun ", "pytest ")
    return found + [code for code in inline_code(document) if code.startswith(starts) and "…" not in code]
