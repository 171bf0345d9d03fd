"""A bug: what to change in the source."""

import attrs


@attrs.frozen
class Bug:
    """name: a sentence. file: within the package. edits: texts that stand there once, each with its bug."""

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]

    def applied(self, source: str) -> str:
        """The source with the bug. Raises ValueError for a text that is not there, or more than once."""
        for old, new in self.edits:
            if source.count(old) != 1:
                raise ValueError(f'bug "{self.name}" does not fit {self.file} any more: {old!r}')
            source = source.replace(old, new)
        return source


def bug(name: str, file: str, *edits: str) -> Bug:
    """edits: old, new, old, new, ..."""
    return Bug(name, file, tuple(zip(edits[::2], edits[1::2], strict=True)))
