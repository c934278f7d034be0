"""Taylor: the first-order estimate of leave-one-out (Molchanov et al. 2017, section 2.2)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from methods.criterion import Impossible, Scores
from methods.game import Evidence, Worth
from methods.groups import Group, evaluation, require_units
from methods.surgery import masked


def taylor(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    worth: Worth,
    aggregate: Callable[[Tensor], Tensor],
    batch: int = 256,
) -> Scores:
    """The worth's derivative by each unit's mask at the full coalition, aggregated over the examples.

    One forward and backward pass serves all groups. Raises ValueError for a worth that has no derivative (accuracy).
    """
    require_units(groups)
    parts = zip(evidence.inputs.split(batch), evidence.targets.split(batch), strict=True)
    with evaluation(model):
        values = [_derivatives(model, groups, Evidence(*part), worth) for part in parts]
    return Scores({g.name: aggregate(torch.cat([v[g.name] for v in values])).cpu() for g in groups}, evaluations=1)


def _derivatives(model: nn.Module, groups: Sequence[Group], evidence: Evidence, worth: Worth) -> dict[str, Tensor]:
    """For each group (N, n): by how much each example's worth would fall as each unit fades."""
    inputs, targets = evidence
    whole = next(model.parameters()).new_ones
    masks = {g.name: whole(len(targets), len(g.ids)).requires_grad_() for g in groups}
    with torch.enable_grad(), masked(model, groups, masks):
        worths = worth(model(inputs), targets)
    if not worths.requires_grad:
        raise Impossible("taylor needs a worth with a derivative: choose worth=negative_cross_entropy or worth=margin")
    return dict(zip(masks, torch.autograd.grad(worths.sum(), list(masks.values())), strict=True))
