"""Writes pydoc's HTML for modules into a folder: ``python -I render.py FOLDER MODULE...``

A program of its own, since pydoc imports what it shows. A page is written whole or not at all, and one that
is there is kept, so that the program may be killed, repeated, and run twice at once.
"""

import importlib
import os
import pydoc
import sys
from pathlib import Path


def main(folder: Path, names: list[str]) -> None:
    for name in names:
        page = folder / f"{name}.html"
        if not page.exists():
            write(page, name)


def write(page: Path, name: str) -> None:
    try:
        module = importlib.import_module(name)
        text = pydoc.html.page(pydoc.describe(module), pydoc.html.document(module, name))
    except ImportError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return
    draft = page.with_name(f".{page.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
    draft.replace(page)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
