"""The engine's log lines from WARNING on, written to the process's journal as well."""

import logging

from chaos.journal import Journal


class JournalHandler(logging.Handler):
    """Notes each line's level and message."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        self._journal.note("log", level=record.levelname, message=record.getMessage())


def log_to(journal: Journal) -> None:
    logging.getLogger("trio_workflow").addHandler(JournalHandler(journal))
