"""Networks, the file formats of their weights, and the input that each requires."""

from .checkpoint import Checkpoint, identity_of
from .containers import write_published
from .families import FAMILIES
from .layers import Backbone, SelfAttention, TwoBackbones, day_code
from .load import open_checkpoint, read_checkpoint
from .names import BUNDLED, PUBLISHED, bundled_path, cached, resolve
from .onnx import export_onnx
from .outputs import check_encoder, holds_encoder
from .own_file import write_checkpoint
from .pull import pull
from .recurrent import RecurrentPool
from .shape import Shape
from .spec import InputSpec, Quantiser, Sampling, Statistics
from .specs import STUDENT_SPEC, TEACHER_SPEC, V1_1_SPECS
from .student import Student
from .torch_file import load_torch_file
from .vendor import single_file

__all__ = [
    "BUNDLED",
    "FAMILIES",
    "PUBLISHED",
    "STUDENT_SPEC",
    "TEACHER_SPEC",
    "V1_1_SPECS",
    "Backbone",
    "Checkpoint",
    "InputSpec",
    "Quantiser",
    "RecurrentPool",
    "Sampling",
    "SelfAttention",
    "Shape",
    "Statistics",
    "Student",
    "TwoBackbones",
    "bundled_path",
    "cached",
    "check_encoder",
    "day_code",
    "export_onnx",
    "holds_encoder",
    "identity_of",
    "load_torch_file",
    "open_checkpoint",
    "pull",
    "read_checkpoint",
    "resolve",
    "single_file",
    "write_checkpoint",
    "write_published",
]
