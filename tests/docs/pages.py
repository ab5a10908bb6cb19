"""The pages of the documentation, cut into sections and code blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]

HEADING = re.compile(r"^##? (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block: its language, its text without indentation, and the line in which the text begins."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Section:
    """The code blocks below a heading of the first or second level."""

    page: Path
    heading: str
    blocks: tuple[Block, ...]

    def __str__(self) -> str:
        return f"{self.page.stem}: {self.heading}"


def sections(page: Path) -> list[Section]:
    """Return the sections of a page that have code blocks."""
    text = page.read_text(encoding="utf-8")
    found = []
    starts = [match for match in HEADING.finditer(text) if not _in_a_block(text, match.start())]
    for match, following in zip(starts, [*starts[1:], None], strict=True):
        end = following.start() if following else len(text)
        blocks = tuple(_block(text, block) for block in BLOCK.finditer(text, match.end(), end))
        if blocks:
            found.append(Section(page, match[1], blocks))
    return found


def _in_a_block(text: str, position: int) -> bool:
    """Tell a heading from a comment in a block."""
    return any(block.start() < position < block.end() for block in BLOCK.finditer(text))


def _block(text: str, match: re.Match[str]) -> Block:
    lines = [line.removeprefix(match[1]) for line in match[3].splitlines()]
    return Block(match[2], "\n".join(lines) + "\n", text.count("\n", 0, match.start()) + 2)
