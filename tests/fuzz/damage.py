"""Files and variables with pieces removed, doubled, swapped and inserted."""

from __future__ import annotations

import random
from pathlib import Path

ROOT = Path(__file__).parents[2]

PIECES = (
    *(b"\n", b"\r", b"\r\n", b"\t", b" ", b"\0", b"\xff", b"\xed\xa0\x80", "\N{LINE SEPARATOR}".encode()),
    *(b"=", b":", b"@", b"/", b"?", b"#", b"&", b"%", b"%zz", b"%00", b"://", b",", b";", b"*", b"!"),
    *(b"'", b'"', b"\\", b"`", b"$", b"${", b"${A:-", b"}", b"{", b"[", b"]", b"(", b")", b"-", b"+"),
    *(b"PROCRASTINATE_CONN_", b"PROCRASTINATE_CONN_POOL__", b"PG", b"DATABASE_URL=", b"export ", b"service="),
    *(b"null", b"true", b"NaN", b"Infinity", b"1e999", b"9" * 30, b"0x1", b"A" * 2000, b"\xf0\x9f\x90\x98"),
    *(b'{"a": ', b"[" * 500, b"postgresql://", b"mysql://", b"json:dumps", b"host", b"password", b"passfile"),
)
"""The pieces that are inserted."""


def damaged(original: bytes, chance: random.Random) -> bytes:
    """Return a text with some damage, or with none."""
    text = original
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.choice((0, 0, 1, 2, 5, 40)))
        piece = chance.choice((b"", text[start:end] * 2, chance.choice(PIECES), chance.choice(PIECES)))
        text = text[:start] + piece + text[end:]
    return text


def originals() -> dict[str, list[bytes]]:
    """Return undamaged files by their kind, from the corpus of `check` and the profiles."""
    corpus = ROOT / "tests" / "checks" / "corpus"
    texts: dict[str, list[bytes]] = {"env": [b""], "service": [b"[jobs]\nhost=localhost\nport=5433\n"]}
    for file in sorted([*corpus.rglob("*"), *(ROOT / "settings").glob("*.env")]):
        if file.is_file() and file.suffix not in (".py", ".toml", ".crt", ".key", ".pem"):
            texts["env" if file.name.endswith(".env") else "service"].append(file.read_bytes())
    texts["password"] = [b"*:*:jobs:app:hunter2\nlocalhost:5432:*:*:a\\:b\\\\c\n", b"hunter2\n"]
    texts["value"] = [
        *(line.partition(b"=")[2] for text in texts["env"] for line in text.splitlines() if b"=" in line),
        *(b'{"host": "db1", "port": 5433}', b'{"min_size": 2, "timeout": "10s", "kwargs": {"a": [1]}}'),
    ]
    return texts
