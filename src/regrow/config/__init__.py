"""Typed, frozen configuration: a params file (one tier of the study) and the resolved config of one run.

An unknown key is an error that names the nearest valid one. Nothing here imports torch: Snakemake, the
report and `regrow --help` read these types at every start.
"""

from regrow.config.arm import Arm
from regrow.config.base import Frozen, canonical, digest
from regrow.config.learngene import Auxiliary, Learngene, PretrainedSource, Teacher
from regrow.config.model import BASIS_DEPTH, Kind, ModelConfig, TimmModel, basis_config
from regrow.config.params import DataConfig, Params, TargetRule
from regrow.config.read import explain, load_params, load_run
from regrow.config.recipe import Augment, Distill, Fit, OperatorConfig, Recipe, SubModels
from regrow.config.runs import (
    STAGES,
    DataRef,
    GrowConfig,
    LearngeneConfig,
    RunConfig,
    Stage,
    TeacherConfig,
    TrainConfig,
)

__all__ = [
    "BASIS_DEPTH",
    "STAGES",
    "Arm",
    "Augment",
    "Auxiliary",
    "DataConfig",
    "DataRef",
    "Distill",
    "Fit",
    "Frozen",
    "GrowConfig",
    "Kind",
    "Learngene",
    "LearngeneConfig",
    "ModelConfig",
    "OperatorConfig",
    "Params",
    "PretrainedSource",
    "Recipe",
    "RunConfig",
    "Stage",
    "SubModels",
    "TargetRule",
    "Teacher",
    "TeacherConfig",
    "TimmModel",
    "TrainConfig",
    "basis_config",
    "canonical",
    "digest",
    "explain",
    "load_params",
    "load_run",
]
