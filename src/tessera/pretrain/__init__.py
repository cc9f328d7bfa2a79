"""Pretraining of encoders from pixel-years without labels: views, losses, an exactly resumable loop, distillation."""

from .batch import Batch
from .batches import Batches
from .config import (
    Data,
    DistilConfig,
    Network,
    PretrainConfig,
    ProbeSource,
    TeacherSource,
    parse_config,
    with_changes,
)
from .data import Augment, Blocks, month_means, open_blocks, write_blocks, year_curves
from .devices import Machine
from .distil import Lesson, Pupil, Said, distil
from .loop import check_run
from .losses import barlow_twins, correlation, mix_term, rankme, regression, vicreg, whiten
from .objective import Objective, Truths, Twins
from .permute import Order, permute
from .plan import RunPlan, learning_rate
from .pretraining import pretrain
from .projector import Projector
from .quantise import rounded
from .ranks import Ranks
from .teacher_cache import teach
from .views import View, draw_views, recall

__all__ = [
    "Augment",
    "Batch",
    "Batches",
    "Blocks",
    "Data",
    "DistilConfig",
    "Lesson",
    "Machine",
    "Network",
    "Objective",
    "Order",
    "PretrainConfig",
    "ProbeSource",
    "Projector",
    "Pupil",
    "Ranks",
    "RunPlan",
    "Said",
    "TeacherSource",
    "Truths",
    "Twins",
    "View",
    "barlow_twins",
    "check_run",
    "correlation",
    "distil",
    "draw_views",
    "learning_rate",
    "mix_term",
    "month_means",
    "open_blocks",
    "parse_config",
    "permute",
    "pretrain",
    "rankme",
    "recall",
    "regression",
    "rounded",
    "teach",
    "vicreg",
    "whiten",
    "with_changes",
    "write_blocks",
    "year_curves",
]
