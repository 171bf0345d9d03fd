"""Where artifacts keep their bytes: the protocol of a store, and the store in a folder."""

from trio_workflow.artifacts.file_store import FileArtifactStore
from trio_workflow.artifacts.protocols import ArtifactReader, ArtifactStore

__all__ = ["ArtifactReader", "ArtifactStore", "FileArtifactStore"]
