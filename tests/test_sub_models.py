"""bert2BERT's first stage: which weights a step sees, which of them learn, and what it costs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from conftest import RECIPE, TINY
from regrow.config import ModelConfig, SubModels
from regrow.errors import UserError
from regrow.models.flops import forward_flops, train_flops
from regrow.models.vit import build, initial, unstack
from regrow.train import loop
from regrow.train.checkpoint import Checkpoint
from regrow.train.loop import Stopped, train
from regrow.train.sub_models import FirstStage, first_stage
from regrow.train.task import Task
from test_train import task

DEEP = TINY.model_copy(update={"depth": 4})
HALF = RECIPE.model_copy(update={"sub_models": SubModels(share=0.5, layers=2)})


def stage(config: ModelConfig = DEEP) -> FirstStage:
    found = first_stage(config, HALF, train_size=1000, seed=0)
    assert found
    return found


def step_of_depth(first: FirstStage, depth: int) -> int:
    return next(step for step in range(100) if first.depth(step) == depth)


def test_it_lasts_for_its_share_of_the_steps() -> None:
    assert [stage().covers(step) for step in (0, 5, 6, 11)] == [True, True, False, False]
    assert first_stage(DEEP, RECIPE, train_size=1000, seed=0) is None


def test_every_depth_is_drawn_and_a_function_of_seed_and_step() -> None:
    depths = [stage().depth(step) for step in range(40)]
    assert set(depths) == {2, 4}
    assert depths == [stage().depth(step) for step in range(40)]


def test_the_sub_model_is_the_bottom_of_the_model_under_its_norm_and_head() -> None:
    first, state = stage(), unstack(initial(DEEP, seed=0))
    model, part = first.cut(state, step_of_depth(first, 2))
    shallow = build(DEEP.model_copy(update={"depth": 2}))
    shallow.load_state_dict({name: state[name] for name in shallow.state_dict()})
    images = torch.randn(3, 3, 8, 8)
    torch.testing.assert_close(functional_call(model, part, (images,)), shallow(images))


def test_the_uppermost_blocks_and_the_head_learn_alone() -> None:
    first = stage()
    state = {name: tensor.requires_grad_() for name, tensor in unstack(initial(DEEP, seed=0)).items()}
    model, part = first.cut(state, step_of_depth(first, 4))
    cross_entropy(functional_call(model, part, (torch.randn(3, 3, 8, 8),)), torch.arange(3)).backward()
    learned = {name for name, tensor in state.items() if tensor.grad is not None}
    assert learned == {name for name in state if name.startswith(("blocks.2.", "blocks.3.", "norm.", "head."))}


def test_its_flops_are_less_than_the_models() -> None:
    first = stage()
    shallow, deep = (first.flops(step_of_depth(first, depth)) for depth in (2, 4))
    block = (forward_flops(DEEP) - forward_flops(TINY)) // 2
    assert deep - shallow == RECIPE.batch_size * 2 * block, "two more blocks forward, none backward"
    assert deep < RECIPE.batch_size * train_flops(DEEP)


def test_a_run_counts_both_stages(digits: Path) -> None:
    first = stage()
    whole = task(
        digits,
        HALF,
        model=build(DEEP),
        trained=initial(DEEP, seed=0),
        flops_per_step=7,
        first_stage=first,
    )
    history = train(whole).history
    assert history.flops == sum(first.flops(step) for step in range(6)) + 6 * 7
    assert history.metrics[-1]["flops"] == history.flops


@pytest.mark.parametrize("stop_at", [1, 3, 6, 8])
def test_a_run_that_is_stopped_in_either_stage_ends_with_the_same_bits(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """The embeddings have no gradient in the first stage, so AdamW keeps nothing of them, and later fewer steps."""

    def run() -> Task:
        return task(digits, HALF, model=build(DEEP), trained=initial(DEEP, seed=0), first_stage=stage())

    unbroken = train(run())
    real, calls = loop._step, []

    def step_then_stop(*arguments: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_step", step_then_stop)
    checkpoint = Checkpoint(tmp_path, "key")
    with pytest.raises(Stopped):
        train(run(), checkpoint)
    resumed = train(run(), checkpoint)
    assert resumed.history.resumes == 1
    for name, tensor in unbroken.tensors.items():
        assert torch.equal(resumed.tensors[name], tensor), name


def test_layers_that_do_not_divide_the_depth_are_refused() -> None:
    with pytest.raises(UserError, match="layers: 2 does not divide the model's depth 3"):
        stage(TINY.model_copy(update={"depth": 3}))
