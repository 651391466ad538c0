"""What each stage of the DAG does: read a config and its inputs, write weights and records."""

MODULES = {
    "teacher": "regrow.stages.teacher",
    "learngene": "regrow.stages.learngene",
    "pretrain": "regrow.stages.model",
    "grow": "regrow.stages.grow",
    "target": "regrow.stages.model",
    "transfer": "regrow.stages.model",
}
"""Stage -> the module whose `run(config, place)` is the stage."""
