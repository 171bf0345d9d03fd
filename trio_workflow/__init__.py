"""trio_workflow: a durable workflow runtime that lives inside a trio program."""

# Where things are. Imports go downwards only.
#
#   runtime/      TASKS      open_runtime, workers, leases, attempts, events: the only place with nurseries
#   store/        MEMORY     the verbs that change runs and steps, over SQLite: the only place with SQL
#   authoring/    what users write and are handed: Package, RunBuilder, executor, StepContext
#   artifacts/    bytes in files, beside the database
#   projections/  read models, a database each
#   sqlite/       what store and projections share: connections, file identities, the write-ahead log
#   rules/        DECISIONS  the table of legal moves, retries, token buckets, graphs, turns: plain functions
#   model/        WORDS      frozen values; model/payload/ turns Python values into JSON and back
#   testing/      for users' tests: virtual time, crash, plan, run_executor, simulate (in seeded worlds)
#   errors.py     every exception. clock.py, source.py, offload.py: time, randomness, blocking calls
#   durable_folders.py, exhaustion.py, single_run.py: names on disk, what is used up, one trio run at a time
#   points.py     where a simulation looks on, or steps in with a fault

from trio_workflow.artifacts import ArtifactReader, ArtifactStore, FileArtifactStore
from trio_workflow.authoring.executor import Executor, executor
from trio_workflow.authoring.options import StepHandle, StepOpts, optional, require
from trio_workflow.authoring.package import Package
from trio_workflow.authoring.run_builder import RunBuilder
from trio_workflow.authoring.step_context import StepContext
from trio_workflow.errors import (
    ArtifactNotFoundError,
    ConfigError,
    DependencyError,
    GraphError,
    InputError,
    OptionError,
    OutputError,
    PackageNotFoundError,
    PayloadError,
    Permanent,
    Retryable,
    RunExistsError,
    RunNotFoundError,
    RunStateError,
    RuntimeClosedError,
    RuntimeCrashedError,
    StepFailure,
    StepNotFoundError,
    StepStateError,
    StoreError,
    StoreLostError,
    StoreUnavailableError,
    WorkflowError,
)
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef
from trio_workflow.model.event import Event, EventKind
from trio_workflow.model.plan import Dependency
from trio_workflow.model.policy import QueueConfig, RateLimit, RetryPolicy
from trio_workflow.model.records import (
    Artifact,
    Attempt,
    Lease,
    Page,
    Progress,
    QueueStatus,
    Record,
    Step,
    StepError,
    StepResult,
    Violation,
    WorkflowRun,
)
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus
from trio_workflow.projections import Projection, ProjectionStore, SQLiteProjectionStore
from trio_workflow.runtime.config import Config
from trio_workflow.runtime.events import EventStream
from trio_workflow.runtime.opening import open_runtime
from trio_workflow.runtime.runs import RunHandle, StartRun
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.runtime.statistics import Statistics
from trio_workflow.runtime.workers import CycleResult
from trio_workflow.store import SQLiteStore, Store, StoreConfig

__all__ = [
    "Artifact",
    "ArtifactNotFoundError",
    "ArtifactObject",
    "ArtifactReader",
    "ArtifactRef",
    "ArtifactStore",
    "Attempt",
    "AttemptOutcome",
    "Config",
    "ConfigError",
    "CycleResult",
    "Dependency",
    "DependencyError",
    "Event",
    "EventKind",
    "EventStream",
    "Executor",
    "FileArtifactStore",
    "GraphError",
    "InputError",
    "Lease",
    "OptionError",
    "OutputError",
    "Package",
    "PackageNotFoundError",
    "Page",
    "PayloadError",
    "Permanent",
    "Progress",
    "Projection",
    "ProjectionStore",
    "QueueConfig",
    "QueueStatus",
    "RateLimit",
    "Record",
    "RetryPolicy",
    "Retryable",
    "RunBuilder",
    "RunExistsError",
    "RunHandle",
    "RunNotFoundError",
    "RunStateError",
    "RunStatus",
    "Runtime",
    "RuntimeClosedError",
    "RuntimeCrashedError",
    "SQLiteProjectionStore",
    "SQLiteStore",
    "StartRun",
    "Statistics",
    "Step",
    "StepContext",
    "StepError",
    "StepFailure",
    "StepHandle",
    "StepNotFoundError",
    "StepOpts",
    "StepResult",
    "StepStateError",
    "StepStatus",
    "Store",
    "StoreConfig",
    "StoreError",
    "StoreLostError",
    "StoreUnavailableError",
    "Violation",
    "WorkflowError",
    "WorkflowRun",
    "executor",
    "open_runtime",
    "optional",
    "require",
]
