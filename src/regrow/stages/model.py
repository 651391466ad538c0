"""`pretrain`, `target` and `transfer`: train one model on one set, from scratch or from given weights."""

from __future__ import annotations

import torch
from torch import Tensor

from regrow.config import TrainConfig, digest
from regrow.data import load
from regrow.errors import UserError
from regrow.models.axes import decays
from regrow.models.flops import forward_flops, train_flops
from regrow.models.vit import Tensors, build, check, initial, stack
from regrow.stages.outcome import Place, write_outcome
from regrow.train.batches import tensors
from regrow.train.checkpoint import load_tensors
from regrow.train.loop import Task, evaluate, train
from regrow.train.seeds import derive


def run(config: TrainConfig, place: Place) -> None:
    """Train, read the test set once, write the outcome."""
    device = place.torch_device()
    packed = load(place.data)
    init, init_sha = _initial_weights(config, place)
    inputs = {"data": digest(packed.manifest)} | ({"init": init_sha} if init_sha else {})
    checkpoint = place.checkpoint(config, *inputs.values())
    in_chans = config.model.in_chans
    task = Task(
        label=f"{config.stage} {config.run}",
        model=build(config.model, drop_path=config.recipe.drop_path).to(device),
        trained={name: tensor.to(device) for name, tensor in init.items()},
        weights=lambda trained: trained,
        decays=decays,
        train=tensors(
            packed, "train", device, in_chans=in_chans, per_class=config.data.per_class, seed=config.data.seed
        ),
        minival=tensors(packed, "minival", device, in_chans=in_chans),
        recipe=config.recipe,
        seed=config.seed,
        flops_per_step=config.recipe.batch_size * train_flops(config.model),
    )
    done = train(task, checkpoint)
    test = tensors(packed, "test", device, in_chans=in_chans)
    loss, accuracy, predicted = evaluate(task.model, done.tensors, test)
    if packed.manifest.metric == "balanced_accuracy":
        accuracy = balanced_accuracy(predicted, test.labels)
    last = done.history.metrics[-1]
    summary = {
        "steps": done.history.step,
        "examples": last["examples"],
        "flops": last["flops"],
        "forward_flops_per_image": forward_flops(config.model),
        "minival_loss": last["minival_loss"],
        "minival_accuracy": last["minival_accuracy"],
        "test_metric": packed.manifest.metric,
        "test_accuracy": accuracy,
        "test_loss": loss,
        "test_images": len(test),
    }
    write_outcome(place, config, done.tensors, summary, done.history.metrics, done.history, inputs)
    checkpoint.remove()
    print(f"{task.label}  done: test {accuracy:.2f} %, {done.history.seconds:.0f} s of training", flush=True)


def balanced_accuracy(predicted: Tensor, labels: Tensor) -> float:
    """Mean recall over the classes, in percent."""
    count = torch.bincount(labels)
    hits = torch.bincount(labels[predicted == labels], minlength=len(count))
    return float(100 * (hits / count).double().mean())


def _initial_weights(config: TrainConfig, place: Place) -> tuple[Tensors, str]:
    """Fresh weights, or the parent's with a fresh head where the label set changes; and the parent's checksum.

    A fresh head is zero, as in big_vision's and timm's fine-tuning, so no arm is favoured by a draw.
    """
    if config.init is None:
        return initial(config.model, derive(config.seed, "init")), ""
    if place.init is None:
        raise UserError(f"{config.stage}/{config.run}: its config starts from {config.init}; give --init WEIGHTS")
    state, metadata = load_tensors(place.init)
    weights = stack(state)
    if config.new_head:
        weights["head.weight"] = torch.zeros(config.model.num_classes, config.model.embed_dim)
        weights["head.bias"] = torch.zeros(config.model.num_classes)
    check(weights, config.model, str(place.init))
    return weights, metadata["sha256"]
