"""Bugs of files, connections and processes, each with the test that finds it."""

from .real_bug import ARTIFACTS, LEFT, PROJECTIONS, RUNTIME, SQLITE, real

FILE_BUGS = (
    real(
        LEFT + "test_after_a_log_checkpoint_that_fails_others_can_write",
        "a log checkpoint that fails keeps the write lock",
        SQLITE + "log_checkpoint.py",
        '        finally:\n            self._lock.execute("ROLLBACK")\n',
        "        except sqlite3.Error:\n"
        "            raise\n"
        "        else:\n"
        '            self._lock.execute("ROLLBACK")\n',
    ),
    real(
        "test_store_mishaps.py",
        "a log checkpoint does not keep others from committing",
        SQLITE + "log_checkpoint.py",
        '            self._lock.execute("BEGIN IMMEDIATE")\n',
        '            self._lock.execute("BEGIN")\n',
    ),
    real(
        LEFT + "test_after_a_projections_checkpoint_that_fails_others_can_write",
        "a projection's checkpoint that fails keeps the write lock",
        PROJECTIONS + "database.py",
        "            with closing(_connect(self._resolved)) as guard:\n",
        "            self._guard = guard = _connect(self.path)\n            if guard:\n",
    ),
    real(
        LEFT + "test_reads_that_fail_open_no_more_files",
        "a read that fails keeps its connection",
        SQLITE + "connections.py",
        "                self._idle.append(conn)\n                if self._closed:\n",
        "                import sys as _sys\n\n                if _sys.exc_info()[0] is None:\n"
        "                    self._idle.append(conn)\n                else:\n"
        "                    self._kept = [*getattr(self, '_kept', ()), conn]\n"
        "                if self._closed:\n",
    ),
    real(
        LEFT + "test_reads_that_fail_open_no_more_files",
        "a read that fails stays in its transaction",
        SQLITE + "connections.py",
        '                if conn.in_transaction:\n                    conn.execute("ROLLBACK")\n',
        "                import sys as _sys\n"
        "\n"
        "                if _sys.exc_info()[0] is None:\n"
        '                    conn.execute("ROLLBACK")\n',
    ),
    real(
        LEFT + "test_a_store_that_was_closed_has_no_file_open_and_no_log",
        "connections that are idle stay open when the store is closed",
        SQLITE + "connections.py",
        "        while self._idle:\n            self._idle.pop().close()\n",
        "        self._kept = list(self._idle)\n",
    ),
    real(
        "test_store_mishaps.py::test_a_connection_that_reads_while_the_store_closes_is_closed_when_its_read_ends",
        "a connection that reads while the store is closed stays open",
        SQLITE + "connections.py",
        "                if self._closed:\n                    self.close()\n",
        "",
    ),
    real(
        LEFT + "test_a_store_that_was_closed_has_no_file_open_and_no_log",
        "the connection that holds the lock of a checkpoint stays open",
        SQLITE + "committer.py",
        "        self._log.close()\n",
        "",
    ),
    real(
        LEFT + "test_a_store_that_was_closed_has_no_file_open_and_no_log",
        "the connection that guards a lost file stays open",
        SQLITE + "committer.py",
        "            self._look.close()\n"
        "        self._log.close()\n"
        "        self._conn.close()\n"
        "        self._look.close()\n",
        "            pass\n        self._log.close()\n        self._conn.close()\n",
    ),
    real(
        LEFT + "test_a_projection_store_that_was_closed_has_no_file_open_and_no_log",
        "a projection that is closed keeps its file open",
        PROJECTIONS + "database.py",
        "        else:\n            conn.close()\n",
        "        else:\n            self._kept = conn\n",
    ),
    real(
        LEFT + "test_artifacts_leave_no_file_open",
        "an artifact that was read stays open",
        ARTIFACTS + "file_store.py",
        "            reader.close()\n",
        "            self._kept = [*getattr(self, '_kept', ()), reader]\n",
    ),
    real(
        LEFT + "test_artifacts_leave_no_file_open",
        "an artifact of another size stays open",
        ARTIFACTS + "reader.py",
        "        file.close()\n        raise StoreError(",
        "        globals().setdefault('_kept', []).append(file)\n        raise StoreError(",
    ),
    real(
        LEFT + "test_artifacts_leave_no_file_open",
        "the file that an artifact is read from stays open",
        ARTIFACTS + "bodies.py",
        "    with source:\n",
        "    globals().setdefault('_kept', []).append(source)\n    if True:\n",
    ),
    real(
        LEFT + "test_artifacts_leave_no_file_open",
        "a folder that was flushed stays open",
        "durable_folders.py",
        "        os.close(handle)\n",
        "        pass\n",
    ),
    real(
        LEFT + "test_artifacts_leave_no_file_open",
        "a part file that is given up stays open",
        ARTIFACTS + "writer.py",
        "        with suppress(OSError):  # what is still buffered may not fit on the disk\n"
        "            self._file.close()\n",
        "        globals().setdefault('_kept', []).append(self._file)\n",
    ),
    real(
        LEFT + "test_artifacts_leave_no_file_open",
        "the sidecar of a part file is left",
        ARTIFACTS + "writer.py",
        "        for path in (self._path, self._sidecar, self._latest):\n"
        "            path.unlink(missing_ok=True)\n",
        "        for path in (self._path, self._latest):\n            path.unlink(missing_ok=True)\n",
    ),
    real(
        "test_file_artifacts.py",
        "part files of writers that live are removed",
        ARTIFACTS + "writer.py",
        "                if entry.stat().st_mtime < oldest:\n",
        "                if entry.stat().st_mtime >= oldest:\n",
    ),
    real(
        "test_flushed_artifacts.py",
        "an artifact's folder is not flushed",
        "durable_folders.py",
        "        os.fsync(handle)\n",
        "        pass\n",
    ),
    real(
        "test_flushed_artifacts.py",
        "an artifact's bytes are not flushed",
        ARTIFACTS + "writer.py",
        "    os.fsync(file.fileno())\n",
        "",
    ),
    real(
        "test_store_file.py",
        "connections checkpoint by themselves",
        SQLITE + "connections.py",
        '        conn.execute("PRAGMA wal_autocheckpoint = 0")\n',
        "",
    ),
    real(
        LEFT + "test_a_read_sees_one_state_whatever_is_committed_meanwhile",
        "a read is no transaction",
        SQLITE + "connections.py",
        '                conn.execute("BEGIN")\n',
        "",
    ),
    real(
        LEFT + "test_a_read_cannot_write",
        "connections that read can write",
        SQLITE + "connections.py",
        '            conn.execute("PRAGMA query_only = ON")\n',
        "",
    ),
    real(
        "test_store_file.py",
        "foreign keys are not enforced",
        SQLITE + "connections.py",
        '        conn.execute("PRAGMA foreign_keys = ON")\n',
        "",
    ),
    real(
        LEFT + "test_a_connection_that_could_not_be_set_up_is_closed",
        "a connection that could not be set up stays open",
        SQLITE + "connections.py",
        '= {LOG_LIMIT}")\n    except BaseException:\n        conn.close()\n',
        '= {LOG_LIMIT}")\n    except BaseException:\n'
        "        globals().setdefault('_kept', []).append(conn)\n",
    ),
    real(
        LEFT + "test_a_body_that_changes_meanwhile_is_stored_as_it_was_hashed",
        "a body that changes is hashed as it was and written as it is",
        ARTIFACTS + "bodies.py",
        "                await sink(bytes(flat[start : start + PIECE]))\n",
        "                await sink(flat[start : start + PIECE])\n",
    ),
    real(
        "test_file_artifacts.py",
        "the link of a name is left",
        ARTIFACTS + "writer.py",
        "        link.unlink(missing_ok=True)  # a rename between two names of one file does nothing\n",
        "        pass\n",
    ),
    real(
        "test_file_artifacts_disk.py",
        "what killed writers left stays for ever",
        ARTIFACTS + "file_store.py",
        "            remove_leftovers(self._layout)\n",
        "",
    ),
    real(
        "test_file_artifacts.py",
        "two writers may have one part file",
        ARTIFACTS + "writer.py",
        'f"{uuid.uuid4().hex}.part"',
        'f"{os.getpid()}.part"',
        'open(self._path, "xb")',
        'open(self._path, "wb")',
    ),
    real(
        "test_interrupted_bookkeeping.py::test_an_interrupt_as_an_attempt_ends_takes_nothing_from_its_outcome",
        "an interrupt may stop the bookkeeping of an attempt",
        RUNTIME + "crew.py",
        "    @trio.lowlevel.enable_ki_protection\n    async def _attempt",
        "    async def _attempt",
    ),
    real(
        "test_interrupted_bookkeeping.py::test_an_interrupt_of_a_writer_that_gives_up_leaves_the_line_to_others",
        "an interrupt may stop the writer between two commits",
        SQLITE + "writer.py",
        "    @trio.lowlevel.enable_ki_protection\n    async def submit_all",
        "    async def submit_all",
    ),
    real(
        LEFT + "test_the_log_of_a_projection_is_copied_when_it_is_long",
        "a projection's log is never copied",
        PROJECTIONS + "database.py",
        "        elif size > self._checkpoint_at:\n",
        "        elif size > 1000 * self._checkpoint_at:\n",
    ),
    real(
        "test_crashing.py",
        "a killed runtime goes on committing",
        RUNTIME + "engine.py",
        "        self.store.sever()\n",
        "",
    ),
)

PROCESS_BUGS = (
    real(
        "test_block.py::test_a_forked_child_cannot_use_the_runtime",
        "a forked child may use the runtime",
        RUNTIME + "engine.py",
        "        if os.getpid() != self._pid:\n",
        "        if os.getpid() == 0:\n",
    ),
    real(
        "test_shutdown.py",
        "a block ends before the workers of another nursery have",
        RUNTIME + "opening.py",
        "                await engine.sessions.wait_value(0)\n",
        "                await trio.lowlevel.checkpoint()\n",
    ),
    real(
        LEFT + "test_a_store_that_cannot_be_opened_has_no_file_open",
        "a block that could not open leaves the store open",
        SQLITE + "store.py",
        "            except BaseException:\n                conn.close()\n                raise\n",
        "            except BaseException:\n"
        "                globals().setdefault('_kept', []).append(conn)\n"
        "                raise\n",
    ),
)
