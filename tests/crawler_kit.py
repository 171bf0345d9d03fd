"""What the tests of examples/worker.py share: where it is, a site, and a store to crawl it with."""

from pathlib import Path

from trio_workflow import Config, FileArtifactStore, QueueConfig, SQLiteProjectionStore, SQLiteStore

EXAMPLES = Path(__file__).parent.parent / "examples"

HOME = "http://site.test/"


def config(state: Path) -> Config:
    return Config(
        store=SQLiteStore(state / "engine.db"),
        artifact_store=FileArtifactStore(state / "artifacts"),
        projection_store=SQLiteProjectionStore(state / "projections"),
        max_workers=8,
        default_queue=QueueConfig(max_workers=4),
    )
