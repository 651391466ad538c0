"""What each stage of the DAG does: read a config and its inputs, write weights and records."""

from regrow.config import GrowConfig, RunConfig

MODULES = {
    "teacher": "regrow.stages.teacher",
    "learngene": "regrow.stages.learngene",
    "pretrain": "regrow.stages.model",
    "grow": "regrow.stages.grow",
    "target": "regrow.stages.model",
    "transfer": "regrow.stages.model",
}
"""Stage -> the module whose `run(config, place)` is the stage."""


def modules(config: RunConfig) -> tuple[str, ...]:
    """The modules that a run executes, for `regrow.code`; of the operators only its own."""
    if not isinstance(config, GrowConfig):
        return (MODULES[config.stage],)
    from regrow.growth.registry import entry  # which no other stage runs

    return MODULES[config.stage], entry(config.operator.name).module
