"""Networks, the containers that their weights come in, and what each demands of its input."""

from .checkpoint import Checkpoint, identity_of, read_checkpoint, write_checkpoint
from .names import BUNDLED, PUBLISHED, PublishedFile, bundled_path, resolve
from .network import Student, StudentShape
from .spec import InputSpec, Quantiser, Sampling, Statistics
from .students import STUDENT_SPEC

__all__ = [
    "BUNDLED",
    "PUBLISHED",
    "STUDENT_SPEC",
    "Checkpoint",
    "InputSpec",
    "PublishedFile",
    "Quantiser",
    "Sampling",
    "Statistics",
    "Student",
    "StudentShape",
    "bundled_path",
    "identity_of",
    "read_checkpoint",
    "resolve",
    "write_checkpoint",
]
