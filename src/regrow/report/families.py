"""What is compared with what: arms of one target, measured against one of them that is trained from scratch."""

from __future__ import annotations

from dataclasses import dataclass

from regrow.config import Arm, Params, Recipe
from regrow.study import descendant


@dataclass(frozen=True, kw_only=True)
class Family:
    """The arms of the growth study, or of one depth of the learngene's."""

    arms: dict[str, Arm]
    """In the order of the params file, by the name that their runs have: `mango`, `tleg-d6`."""
    scratch: str
    """The arm that sets the target metric."""
    train: Recipe
    depth: int | None = None
    """None: the growth study."""

    def label(self, arm: str) -> str:
        """The arm's label, with its depth where there are several."""
        label = self.arms[arm].label
        return label if self.depth is None else f"{label}, depth {self.depth}"

    def equally_trained(self) -> list[str]:
        """The arms that see as many examples as scratch does, scratch itself left out."""
        return [arm for arm in self.arms if arm != self.scratch and self._examples(arm) == self._examples(self.scratch)]

    def _examples(self, arm: str) -> tuple[str, int]:
        recipe = self.arms[arm].train or self.train
        return recipe.duration, recipe.batch_size


def growth_family(params: Params) -> Family:
    """The arms of the study's target."""
    return Family(arms=params.arms, scratch=params.scratch, train=params.train)


def depth_families(params: Params) -> dict[int, Family]:
    """The arms of every depth of the learngene's study; none where the tier has no such study."""
    learngene = params.learngene
    if learngene is None:
        return {}
    return {
        depth: Family(
            arms={descendant(name, depth): arm for name, arm in learngene.arms.items()},
            scratch=descendant(learngene.scratch, depth),
            train=learngene.train,
            depth=depth,
        )
        for depth in learngene.depths
    }
