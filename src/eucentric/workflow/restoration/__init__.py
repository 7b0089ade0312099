"""Restoration of half tomograms: of a session's series or of files, by one model that is kept as it is trained."""

from eucentric.workflow.restoration.inputs import FilePair, Subject, subject_of_files
from eucentric.workflow.restoration.models import Model, read_model
from eucentric.workflow.restoration.run import RestoreOutcome, Restoring, restore_files, restore_session
from eucentric.workflow.restoration.training import ModelFiles

__all__ = [
    "FilePair",
    "Model",
    "ModelFiles",
    "RestoreOutcome",
    "Restoring",
    "Subject",
    "read_model",
    "restore_files",
    "restore_session",
    "subject_of_files",
]
