"""Fsync bugs. States of power loss must find each, by a problem that holds its sign."""

import attrs
from planted.bug import Bug, bug

LOST = "against what was acknowledged"
DAMAGED = "has other bytes than its name says"


@attrs.frozen
class Plant:
    """name: a word or two, for the command line."""

    name: str
    sign: str
    bug: Bug


def plant(name: str, sign: str, sentence: str, file: str, *edits: str) -> Plant:
    return Plant(name, sign, bug(sentence, file, *edits))


WRITER = "artifacts/writer.py"
OPENING = "store/sqlite/opening.py"
CONNECTIONS = "store/sqlite/connections.py"

PLANTS = (
    plant(
        "off",
        LOST,
        "commits are never flushed",
        CONNECTIONS,
        'f"PRAGMA synchronous = {synchronous}"',
        '"PRAGMA synchronous = OFF"',
    ),
    plant(
        "normal",
        LOST,
        "commits are flushed at checkpoints only",
        CONNECTIONS,
        'f"PRAGMA synchronous = {synchronous}"',
        '"PRAGMA synchronous = NORMAL"',
    ),
    plant(
        "checkpoint",
        "malformed",
        "a checkpoint does not flush the database before the log is used again",
        "store/sqlite/log_checkpoint.py",
        '"PRAGMA wal_checkpoint(PASSIVE)").fetchone()\n',
        '"PRAGMA wal_checkpoint(PASSIVE)").fetchone()\n            self._writer.execute(f"{SYNC} = FULL")\n',
        "        try:\n            _, in_log,",
        '        try:\n            self._writer.execute(f"{SYNC} = OFF")\n            _, in_log,',
        "\nclass LogCheckpoint:\n",
        '\nSYNC = "PRAGMA synchronous"\n\n\nclass LogCheckpoint:\n',
    ),
    plant(
        "new-database",
        "engine.db",
        "a new database is linked before its bytes are flushed",
        OPENING,
        '    conn = connect(draft, synchronous="FULL")\n',
        '    conn = connect(draft, synchronous="OFF")\n',
        "    _sync_draft(draft)\n",
        "",
    ),
    plant(
        "empty-database",
        "engine.db",
        "a new database is linked before it is filled",
        OPENING,
        "        _fill(draft, migrations)\n",
        "",
        "            os.link(draft, path)\n",
        "            os.link(draft, path)\n        _fill(draft, migrations)\n",
    ),
    plant(
        "database-folder",
        "the database is gone",
        "the folder of a new database is not flushed",
        OPENING,
        "        sync_folder(Path(path).parent)  # this process",
        "        # this process",
    ),
    plant(
        "artifact-bytes",
        DAMAGED,
        "an artifact's bytes are never flushed",
        WRITER,
        "    os.fsync(file.fileno())\n",
        "",
    ),
    plant(
        "artifact-late",
        DAMAGED,
        "an artifact's bytes are flushed after they were linked",
        WRITER,
        "        _sync_and_close(self._file)\n",
        "        self._file.flush()\n",
        "                POINTS.reach(Point.BYTES)\n",
        "                POINTS.reach(Point.BYTES)\n                os.fsync(self._file.fileno())\n",
    ),
    plant(
        "artifact-folder",
        "has no bytes",
        "an artifact's folder is not flushed",
        WRITER,
        "        sync_folder(place.folder)\n",
        "",
        "            sync_folder(folder)\n",
        "            pass\n",
    ),
    plant(
        "projection",
        "the note of run",
        "a projection's commits are not flushed",
        "projections/database.py",
        '        conn.execute("PRAGMA foreign_keys=ON").close()\n',
        '        conn.execute("PRAGMA foreign_keys=ON").close()\n'
        '        conn.execute("PRAGMA synchronous=NORMAL").close()\n',
    ),
)
