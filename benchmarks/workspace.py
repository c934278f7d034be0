"""The command: python -m benchmarks.workspace makes W&B's view of the runs: trade-off, recovery, price, latency.

Panels are functions of what benchmarks.tracking logs, which is a function of the records.
"""

import argparse
import os
import sys
from collections.abc import Sequence

os.environ.setdefault("WANDB_SILENT", "true")

import wandb
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

NAME = "Pruning: quality against size and price"
COLUMNS = ("keep", "quality", "compression_ratio", "speedup_macs", "speedup_latency_1", "cost.scoring_seconds")


def workspace(entity: str, project: str) -> ws.Workspace:
    """The view: seeds together, as runs are grouped by all but these, and a section for each question."""
    groups = [expr.Config(f"choices.{axis}") for axis in ("dataset", "model", "method")]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=[
            ws.Section(name="Quality against size", is_open=True, panels=_tradeoff()),
            ws.Section(name="Recovery", is_open=True, panels=_recovery()),
            ws.Section(name="Price of scoring", is_open=True, panels=_price()),
            ws.Section(name="Latency", is_open=True, panels=_latency()),
            ws.Section(name="All choices", is_open=False, panels=[_coordinates()]),
        ],
        runset_settings=ws.RunsetSettings(
            groupby=[*groups, expr.Config("keep")], pinned_columns=[f"summary:{column}" for column in COLUMNS]
        ),
    )


def _tradeoff() -> list[wr.ScatterPlot | wr.BarPlot]:
    return [
        _scatter("Quality against what is kept", "keep", "quality"),
        _scatter("Quality against compression", "compression_ratio", "quality", log_x=True),
        _bar("Mean quality by method", "quality"),
        _bar("Mean loss of quality by method", "drop"),
    ]


def _recovery() -> list[wr.LinePlot]:
    """On validation data."""
    return [
        _line("Quality while recovering", "recovery/quality", "recovery/dense"),
        _line("Quality before and after each round", "round/before", "round/after"),
        _line("Kept after each round", "round/achieved"),
    ]


def _price() -> list[wr.ScatterPlot | wr.BarPlot]:
    return [
        _bar("Seconds of scoring by method", "cost.scoring_seconds"),
        _bar("Coalitions evaluated by method", "cost.evaluations"),
        _scatter("Quality against seconds of scoring", "cost.scoring_seconds", "quality", log_x=True),
        _scatter("… and before recovery", "cost.scoring_seconds", "unrecovered", log_x=True),
    ]


def _latency() -> list[wr.ScatterPlot | wr.BarPlot]:
    return [
        _scatter("Quality against measured speed-up at batch 1", "speedup_latency_1", "quality"),
        _scatter("Measured against theoretical speed-up", "speedup_macs", "speedup_latency_1"),
        _bar("Median seconds at batch 1 by method", "latency_1"),
    ]


def _coordinates() -> wr.ParallelCoordinatesPlot:
    axes = [wr.Config(f"choices.{axis}") for axis in ("model", "method", "allocation", "schedule")]
    numbers = [wr.SummaryMetric(column) for column in COLUMNS]
    columns = [wr.ParallelCoordinatesPlotColumn(metric) for metric in (*axes, *numbers)]
    return wr.ParallelCoordinatesPlot(title="From choices to quality and price", columns=columns)


def _scatter(title: str, x: str, y: str, log_x: bool = False) -> wr.ScatterPlot:
    return wr.ScatterPlot(title=title, x=wr.SummaryMetric(x), y=wr.SummaryMetric(y), log_x=log_x)


def _bar(title: str, metric: str) -> wr.BarPlot:
    spread = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
    return wr.BarPlot(title=title, metrics=[metric], groupby=wr.Config("choices.method"), **spread)


def _line(title: str, *metrics: str) -> wr.LinePlot:
    return wr.LinePlot(title=title, x="step", y=[*metrics])


def create(entity: str | None, project: str) -> str:
    """Make a new view; returns its address. Raises ValueError where there is no key, entity or project."""
    try:
        api = wandb.Api(timeout=20)
    except wandb.Error as error:
        raise ValueError(f"W&B cannot be asked ({_short(error)}): run wandb login, or set WANDB_API_KEY") from error
    entity = entity or api.default_entity
    if not entity:
        raise ValueError("this W&B key has no entity of its own: give --entity=USER_OR_TEAM")
    try:
        api.project(project, entity).id  # noqa: B018 (asks the server)
    except (wandb.Error, ValueError) as error:
        raise ValueError(
            f"{entity}/{project} is no W&B project ({_short(error)}): log runs to it first "
            "(wandb.mode=online, wandb sync, or python -m benchmarks.tracking NAME), or give --entity and --project"
        ) from error
    return workspace(entity, project).save().url


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the view and print its address; 2 for a mistake."""
    parser = argparse.ArgumentParser("python -m benchmarks.workspace", description="W&B's view of the runs.")
    parser.add_argument("--entity", help="user or team; by default that of the key")
    parser.add_argument("--project", default="shapley-pruning")
    chosen = parser.parse_args(arguments)
    try:
        print(create(chosen.entity, chosen.project))
    except (ValueError, wandb.Error) as error:
        print(f"error: {_short(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
