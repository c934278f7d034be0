"""RESULTS.md says what the committed records say: every sentence with a number is made here from the tables."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
RESULTS = " ".join((ROOT / "RESULTS.md").read_text().split())


def row(sweep: str, table: str, **where: object) -> pd.Series:
    """The one row of a committed table."""
    rows = pd.read_csv(ROOT / "results" / sweep / f"{table}.csv")
    for column, value in where.items():
        rows = rows[rows[column] == value]
    [(_, found)] = rows.iterrows()
    return found


def told(found: pd.Series, column: str) -> str:
    return f"{found[column]:.1f} ± {found[f'{column}_ci95']:.1f}".replace("-", "−")


def gain(found: pd.Series) -> str:
    return f"{found['difference']:+.1f} ± {found['difference_ci95']:.1f}".replace("-", "−")


def area(sweep: str, label: str, **where: object) -> pd.Series:
    return row(sweep, "areas", label=label, **where)


def cell(sweep: str, label: str, keep: float, **where: object) -> pd.Series:
    return row(sweep, "tradeoff", label=label, keep=keep, **where)


def scored(found: pd.Series) -> str:
    return f"{found['scoring_seconds']:.3g} s"


CONVNET, RESNET, VGG = ({"model": name} for name in ("convnet", "cifar_resnet20", "vgg11_bn_quarter"))
LOSS = "worth=negative_cross_entropy · aggregate="


def unrecovered() -> list[str]:
    names = ("shapley", "magnitude", "taylor", "leave_one_out", "backward_elimination")
    found = {name: area("curves", name, **CONVNET) for name in names}
    residual = area("curves", "shapley", **RESNET)
    return [
        f"Shapley values keep {told(found['shapley'], 'area')} %, {gain(found['shapley'])} points from magnitude",
        f"one gradient (Taylor) keeps {told(found['taylor'], 'area')} %",
        f"leave-one-out {told(found['leave_one_out'], 'area')} %",
        f"greedy backward elimination {told(found['backward_elimination'], 'area')} %",
        f"{scored(found['shapley'])} of scoring for Shapley, {scored(found['taylor'])} for Taylor",
        f"they keep {told(residual, 'area')} %, {gain(residual)} points from it",
    ]


def layers() -> list[str]:
    places = ("0", "4", "8")
    found = [area("curves_layers", "shapley", model=f"convnet, layer {place}") for place in places]
    return [f"layer {place}: {gain(one)} points from magnitude" for place, one in zip(places, found, strict=True)]


def low_data() -> list[str]:
    few = {name: cell("low_data", name, 0.25) for name in ("shapley", "magnitude", "taylor", "gradual", "random")}
    return [
        f"Shapley values reach {told(few['shapley'], 'quality')} %, {gain(few['shapley'])} points from magnitude",
        f"Taylor reaches {told(few['taylor'], 'quality')} %, random choice {told(few['random'], 'quality')} %",
        f"gradual magnitude pruning reaches {told(few['gradual'], 'quality')} % and scores in {scored(few['gradual'])}",
        f"three quarters kept, Shapley values are {gain(cell('low_data', 'shapley', 0.75))} points from magnitude",
        f"Shapley values took {scored(few['shapley'])}",
    ]


def main() -> list[str]:
    of_each = [(RESNET, (0.75, 0.5, 0.35, 0.25, 0.125)), (VGG, (0.5, 0.25, 0.125))]
    sentences = [
        "; ".join(f"keep {keep:g}: {gain(cell('main', 'shapley', keep, **model))}" for keep in keeps)
        for model, keeps in of_each
    ]
    gradual = cell("main", "gradual", 0.25, **VGG)
    return [
        *sentences,
        f"gradual magnitude pruning with a quarter of the MACs is {gain(gradual)} points from one-shot",
        f"with a quarter of its MACs {gain(cell('main', 'shapley', 0.25, model='vit'))}",
    ]


def recovered() -> list[str]:
    gains = [
        f"{gain(cell('quickstart', 'shapley', keep, model=model))} (keep {keep:g}, {model})"
        for model in ("convnet", "mlp")
        for keep in (0.5, 0.0625)
    ]
    return gains


def aggregation() -> list[str]:
    of = {name: area("aggregation", f"shapley · {LOSS}{name}", **CONVNET) for name in ("mean", "mean_abs")}
    return [f"{told(of['mean'], 'area')} % with the mean", f"{told(of['mean_abs'], 'area')} % with the mean of sizes"]


def estimators() -> list[str]:
    few, many = (row("estimators", "estimators", estimator="permutation", samples=samples) for samples in (4, 64))
    good = row("estimators", "estimators", estimator="surrogate", samples=64)
    return [
        f"from an error of {few['error']:.2f} (4 permutations) to {many['error']:.2f} (64)",
        f"accuracy goes from {told(few, 'quality')} % to {told(many, 'quality')} %",
        f"the surrogate's error of {good['error']:.3f} gives {told(good, 'quality')} %",
    ]


def tasks() -> list[str]:
    models = ("autoencoder", "lstm", "text_transformer", "gpt", "dqn")
    found = {model: cell("tasks", "shapley", 0.125, model=model) for model in models}
    return [
        f"autoencoder (Fashion-MNIST) {gain(found['autoencoder'])} points of explained variance",
        f"LSTM (SST-2) {gain(found['lstm'])} points of accuracy",
        f"text transformer (SST-2) {gain(found['text_transformer'])}",
        f"language model (characters of Shakespeare) {gain(found['gpt'])} points of accuracy",
        f"DQN (CartPole) {gain(found['dqn'])} points of return",
    ]


FINDINGS = (unrecovered, layers, low_data, main, recovered, aggregation, estimators, tasks)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.__name__)
def test_a_finding_is_what_the_tables_say(finding):
    for sentence in finding():
        assert sentence in RESULTS


def test_every_finding_names_its_n_and_shows_its_figure():
    parts = (ROOT / "RESULTS.md").read_text().split("\n## ")[1:]
    findings = [part for part in parts if re.match(r"\d", part)]
    assert 5 <= len(findings) <= 8
    for part in findings:
        [figure] = re.findall(r"!\[.*?\]\((.*?)\)", part)
        assert re.search(r"n = \d", part) and (ROOT / figure).exists()


def test_the_readme_says_the_same():
    readme = " ".join((ROOT / "README.md").read_text().split())
    few, bare, gains, short = low_data(), unrecovered(), recovered(), main()
    assert all(sentence in readme for sentence in (few[0], few[2], bare[0], bare[1], gains[0], gains[1], short[1]))
