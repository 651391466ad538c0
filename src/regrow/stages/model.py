"""`pretrain`, `target` and `transfer`: train one model on one set, from scratch or from given weights."""

from __future__ import annotations

import torch
from torch import Tensor

from regrow.config import TrainConfig, digest
from regrow.data import load
from regrow.models.axes import decays
from regrow.models.flops import forward_flops, train_flops
from regrow.models.vit import build
from regrow.stages.outcome import Place, initial_weights, write_outcome
from regrow.train.batches import tensors
from regrow.train.loop import Task, evaluate, train


def run(config: TrainConfig, place: Place) -> None:
    """Train, read the test set once, write the outcome."""
    device = place.torch_device()
    packed = load(place.data)
    init, inputs = initial_weights(config, config.model, place, new_head=config.new_head)
    inputs |= {"data": digest(packed.manifest)}
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
