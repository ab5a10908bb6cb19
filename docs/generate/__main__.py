"""Generate the pages and pictures."""

from __future__ import annotations

from docs.generate import DOCS
from docs.generate.pictures import PICTURES, picture
from docs.generate.reference import PAGES


def main() -> None:
    """Write all of them into ``docs/``."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
    for name in PICTURES:
        (DOCS / "pictures" / name).write_text(picture(name), encoding="utf-8")


if __name__ == "__main__":
    main()
