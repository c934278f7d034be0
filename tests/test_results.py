"""RESULTS.md says what the committed records say: every sentence with a number is made here from the tables."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import records
from benchmarks.areas import curves
from benchmarks.frame import frame
from benchmarks.statistics import paired_difference

ROOT = Path(__file__).parents[1]
RESULTS = " ".join((ROOT / "RESULTS.md").read_text().split())


def rows(folder: str, table: str, /, **where: object) -> pd.DataFrame:
    """The rows of a committed table whose columns have these values."""
    found = pd.read_csv(ROOT / "results" / folder / f"{table}.csv")
    for column, value in where.items():
        found = found[found[column] == value]
    return found


def row(folder: str, table: str, /, **where: object) -> pd.Series:
    """The only one of them."""
    [(_, found)] = rows(folder, table, **where).iterrows()
    return found


def told(found: pd.Series, column: str) -> str:
    return f"{found[column]:.1f} ± {found[f'{column}_ci95']:.1f}".replace("-", "−")


def gain(found: pd.Series) -> str:
    return points(found["difference"], found["difference_ci95"])


def points(mean: float, half: float, digits: int = 1) -> str:
    return f"{mean:+.{digits}f} ± {half:.{digits}f}".replace("-", "−")


def area(sweep: str, label: str, **where: object) -> pd.Series:
    return row(sweep, "areas", label=label, **where)


def cell(sweep: str, label: str, keep: float, **where: object) -> pd.Series:
    return row(sweep, "tradeoff", label=label, keep=keep, **where)


def scored(found: pd.Series) -> str:
    return f"{found['scoring_seconds']:.3g} s"


def ranked(sweep: str, table: str) -> tuple[str, str, str]:
    """Average ranks, over how many cells, and the difference from which they differ, as a report says them."""
    text = (ROOT / "results" / sweep / f"{table}.md").read_text()
    [found] = re.findall(r"budget in \w+: (.*?) \(n = (\d+) cells;.*?less than ([\d.]+) apart", text)
    return found


CIFAR, FASHION = ({"dataset": name} for name in ("cifar10-lossless-3k", "fashion_mnist"))
CONVNET, MOBILE = ({"model": name} for name in ("convnet", "mobilenet_v2"))
RESNET, VGG = CIFAR | {"model": "cifar_resnet20"}, FASHION | {"model": "vgg11_bn_quarter"}
OF_MAIN = {
    "ResNet-20, CIFAR-10": RESNET,
    "ResNet-56, CIFAR-10": CIFAR | {"model": "cifar_resnet56"},
    "VGG-11 of a quarter of its width, CIFAR-10": CIFAR | {"model": "vgg11_bn_quarter"},
    "ResNet-20, Fashion-MNIST": FASHION | {"model": "cifar_resnet20"},
    "VGG-11 of a quarter of its width, Fashion-MNIST": VGG,
    "MobileNetV2, Fashion-MNIST": MOBILE,
    "ViT, Fashion-MNIST": {"model": "vit"},
}
KEEPS = (0.75, 0.5, 0.35, 0.25, 0.125)
LOSS = "worth=negative_cross_entropy · aggregate="


def against(sweep: str, rival: str, **where: object) -> pd.Series:
    """Shapley − rival, mean over budgets: a row of verdict.csv."""
    return row("", "verdict", sweep=sweep, rival=rival, **where)


def runs(sweep: str) -> pd.DataFrame:
    return frame(records.load(ROOT / "results" / sweep))


def paired(by_seed: pd.DataFrame, one: str, other: str) -> str:
    """The mean difference of two columns of fractions, in points."""
    return points(*paired_difference(100 * by_seed[one], 100 * by_seed[other]))


def verdicts() -> list[str]:
    signs = rows("", "verdict").pivot(index=["sweep", "dataset", "model"], columns="rival", values="sign")
    rivals = {rival: signs[rival].dropna() for rival in ("magnitude", "gradual", "taylor", "random")}
    won = signs[signs["magnitude"] > 0]
    assert max(_price(*network) for network in won.index) < 1 / 20  # "a twentieth of the price or less"
    return [
        ", ".join(
            f"{rival} (better in {(sign > 0).sum()}, worse in {(sign < 0).sum()} of {len(sign)})"
            for rival, sign in rivals.items()
        ),
        f"on {(won['taylor'] == 0).sum()} of the {len(won)} networks on which they beat magnitude they are not told "
        "apart from Taylor",
    ]


def _price(sweep: str, dataset: str, model: str) -> float:
    """Seconds of scoring by Taylor ÷ those by Shapley values."""
    taylor, shapley = (area(sweep, name, dataset=dataset, model=model) for name in ("taylor", "shapley"))
    return taylor["scoring_seconds"] / shapley["scoring_seconds"]


def unrecovered() -> list[str]:
    names = ("shapley", "magnitude", "random", "taylor", "leave_one_out", "backward_elimination")
    found = {name: area("curves", name, **CONVNET) for name in names}
    level = list(rows("curves", "areas", tied=True, **CONVNET)["label"])
    assert level[0] == "backward_elimination" and "shapley" not in level
    one, other = (against("curves", rival, **RESNET) for rival in ("magnitude", "random"))
    resnet = {name: area("curves", name, **RESNET) for name in (*names, "mean_activation")}
    assert resnet["mean_activation"]["rank"] == 1
    return [
        f"**{gain(found['shapley'])} points from magnitude (n = {found['shapley']['n']})**",
        f"Shapley values keep {told(found['shapley'], 'area')} %, magnitude {told(found['magnitude'], 'area')} %",
        f"random choice {told(found['random'], 'area')} %",
        f"one gradient (Taylor) {told(found['taylor'], 'area')} %",
        f"leave-one-out {told(found['leave_one_out'], 'area')} %",
        f"greedy backward elimination {told(found['backward_elimination'], 'area')} %",
        f"{scored(found['shapley'])} of scoring for Shapley, {scored(found['taylor'])} for Taylor",
        f"all but {' and '.join(level[1:])} are told apart from greedy elimination, Shapley values among them",
        f"they are {gain(one)} points from magnitude and {gain(other)} from random choice (n = {one['n']})",
        f"mean activation leads with {resnet['mean_activation']['area']:.1f} %, Shapley values keep "
        f"{told(resnet['shapley'], 'area')} %, greedy elimination {told(resnet['backward_elimination'], 'area')} %, "
        f"Taylor {resnet['taylor']['area']:.1f} %, leave-one-out {resnet['leave_one_out']['area']:.1f} %",
    ]


def unrecovered_vgg() -> list[str]:
    vgg = rows("curves", "areas", model="vgg11_bn_quarter").set_index("label")
    first, *others = (told(vgg.loc[name], "area") for name in ("shapley", "taylor", "magnitude", "random"))
    assert vgg["rank"].idxmin() == "shapley"
    return [
        f"Shapley values lead with {first} %, before Taylor with {others[0]} %, magnitude with {others[1]} % and "
        f"random choice with {others[2]} % (n = {vgg['n'].max()})",
        f"told apart from {(~vgg['tied']).sum()} of the other {len(vgg) - 1} criteria",
    ]


def layers() -> list[str]:
    first, *others = (area("curves_layers", "shapley", model=f"convnet, layer {place}") for place in (0, 4, 8))
    greedy = area("curves_layers", "backward_elimination", model="convnet, layer 0")
    criteria, leaders = (rows("curves_layers", "areas", **where)["label"] for where in ({}, {"rank": 1}))
    ranks, _, apart = ranked("curves_layers", "areas")
    return [
        f"**{gain(first)} points from magnitude in the first layer (n = {first['n']})**",
        f"{gain(others[0])} in the second and {gain(others[1])} in the third",
        f"greedy backward elimination keeps {told(greedy, 'area')} %, Shapley values {told(first, 'area')} %",
        f"Of all {criteria.nunique()} criteria {leaders.unique().item()} leads in each of the {len(leaders)} layers",
        f"average ranks: {', '.join(ranks.split(', ')[:3])}; less than {apart} apart do not differ",
    ]


def low_data() -> list[str]:
    few = {name: cell("low_data", name, 0.25) for name in ("shapley", "magnitude", "taylor", "gradual", "random")}
    return [
        f"**{gain(few['shapley'])} points from magnitude with a quarter of the MACs (n = {few['shapley']['n']})**",
        f"Shapley values reach {told(few['shapley'], 'quality')} %, magnitude {told(few['magnitude'], 'quality')} %",
        f"Taylor {told(few['taylor'], 'quality')} %, random choice {told(few['random'], 'quality')} %",
        f"gradual magnitude pruning reaches {told(few['gradual'], 'quality')} % ({gain(few['gradual'])} points) and "
        f"scores in {scored(few['gradual'])}",
        f"three quarters kept, Shapley values are {gain(cell('low_data', 'shapley', 0.75))} points from magnitude",
        f"Shapley values took {scored(few['shapley'])}",
        f"over all three budgets they are {gain(against('low_data', 'gradual'))} points from gradual pruning",
    ]


def main() -> list[str]:
    lines = [f"| {name} | {' | '.join(_gains(network))} |" for name, network in OF_MAIN.items()]
    ranks, cells, apart = ranked("main", "tradeoff")
    most, taylor = cell("main", "shapley", 0.125, **MOBILE), against("main", "taylor", **MOBILE)
    own = OF_MAIN["ResNet-20, Fashion-MNIST"]
    return [
        f"**{gain(most)} points from magnitude, MobileNetV2 with an eighth of its MACs (n = {most['n']})**",
        " ".join(["| of the MACs are kept | 0.75 | 0.5 | 0.35 | 0.25 | 0.125 | |---|---|---|---|---|---|", *lines]),
        f"On MobileNetV2 Taylor does as well (Shapley − Taylor over all budgets {gain(taylor)})",
        f"the gain is Taylor's: {gain(cell('main', 'taylor', 0.125, **own))} points from magnitude with an eighth of "
        f"the MACs, where Shapley values reach {told(cell('main', 'shapley', 0.125, **own), 'quality')} %",
        f"average ranks over the {cells} cells of all six methods: {ranks} (less than {apart} apart do not differ)",
        f"VGG's gradual pruning with a quarter of the MACs is {gain(cell('main', 'gradual', 0.25, **VGG))}",
    ]


def _gains(network: dict[str, str]) -> Iterator[str]:
    for keep in KEEPS:
        infeasible = network["model"] == "vit" and keep == 0.125  # a unit of each group has to stay
        yield "infeasible" if infeasible else gain(cell("main", "shapley", keep, **network))


def recovered() -> list[str]:
    found = {
        (keep, model): cell("quickstart", "shapley", keep, model=model)
        for model in ("convnet", "mlp")
        for keep in (0.5, 0.0625)
    }
    last = found[0.0625, "convnet"]
    return [
        f"**{gain(last)} points from magnitude, a convnet with a sixteenth of its parameters (n = {last['n']})**",
        "; ".join(
            f"{points(one['difference'], one['difference_ci95'], digits=2)} (keep {keep:g}, {model})"
            for (keep, model), one in found.items()
        ),
    ]


def aggregation() -> list[str]:
    of = {name: area("aggregation", f"shapley · {LOSS}{name}", **CONVNET) for name in ("mean", "mean_abs")}
    signs = []
    by_model = {}
    for model, rows in curves(runs("aggregation")).groupby("model"):
        by_seed = rows.pivot(index="seed", columns="label", values="quality")
        by_model[model] = paired(by_seed, f"shapley · {LOSS}mean_abs", f"shapley · {LOSS}mean")
        for mean in (label for label in by_seed if label.endswith("=mean")):
            for other in ("_abs", "_plus_std"):
                difference, half = paired_difference(by_seed[mean + other], by_seed[mean])
                signs.append((difference > 0, abs(difference) > half))
    ahead, sure = (sum(column) for column in zip(*signs, strict=True))
    return [
        f"**{by_model['convnet']} points from the mean of values to the mean of their sizes (n = {of['mean']['n']})**",
        f"{told(of['mean'], 'area')} % with the mean, {told(of['mean_abs'], 'area')} % with the mean of sizes",
        f"{ahead} of {len(signs)} comparisons",
        f"{sure} of them exclude zero",
    ]


def estimators() -> list[str]:
    few, many = (row("estimators", "estimators", estimator="permutation", samples=samples) for samples in (4, 64))
    good = row("estimators", "estimators", estimator="surrogate", samples=64)
    means = runs("estimators").pivot_table(index="seed", columns="label", values="quality")
    longest, least = (
        f"shapley · estimator={name} · estimator.samples={n}" for name, n in (("antithetic", 1000), ("permutation", 4))
    )
    return [
        f"**{paired(means, longest, least)} points from four permutations to a thousand (n = {few['n']})**",
        f"from an error of {few['error']:.2f} (4 permutations) to {many['error']:.2f} (64)",
        f"accuracy goes from {told(few, 'quality')} % to {told(many, 'quality')} %",
        f"the surrogate's error of {good['error']:.3f} gives {told(good, 'quality')} %",
    ]


def tasks() -> list[str]:
    models = ("autoencoder", "lstm", "text_transformer", "gpt", "dqn")
    found = {model: cell("tasks", "shapley", 0.125, model=model) for model in models}
    coder = found["autoencoder"]
    halved = {name: cell("tasks", name, 0.5, model="dqn") for name in ("shapley", "magnitude")}
    return [
        f"**{gain(coder)} points of explained variance, an autoencoder (n = {coder['n']})**",
        f"over all budgets it is {gain(against('tasks', 'taylor', model='autoencoder'))} points from Taylor",
        f"LSTM (SST-2) {gain(found['lstm'])} points of accuracy",
        f"text transformer (SST-2) {gain(found['text_transformer'])}",
        f"language model (characters of Shakespeare) {gain(found['gpt'])} points of accuracy",
        f"DQN (CartPole) {gain(found['dqn'])} points of return",
        f"half of it kept, {told(halved['shapley'], 'quality')} % of the longest episode against "
        f"{told(halved['magnitude'], 'quality')} %",
    ]


FINDINGS = (
    verdicts,
    unrecovered,
    unrecovered_vgg,
    layers,
    low_data,
    main,
    recovered,
    aggregation,
    estimators,
    tasks,
)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.__name__)
def test_a_finding_is_what_the_tables_say(finding):
    for sentence in finding():
        assert sentence in RESULTS


def test_every_finding_has_one_number_with_its_interval_its_n_and_a_figure():
    parts = (ROOT / "RESULTS.md").read_text().split("\n## ")[1:]
    findings = [part for part in parts if re.match(r"\d", part)]
    assert 5 <= len(findings) <= 8
    for part in findings:
        [figure] = re.findall(r"!\[.*?\]\((.*?)\)", part)
        [headline] = re.findall(r"\*\*.+?\*\*", part, flags=re.DOTALL)
        assert headline.count("±") == 1 and re.search(r"n = \d", headline) and (ROOT / figure).exists()


def test_the_readme_says_the_same():
    readme = " ".join((ROOT / "README.md").read_text().split())
    said = [verdicts()[0], *low_data()[:2], low_data()[3], unrecovered()[0], main()[0], recovered()[0]]
    assert all(sentence in readme for sentence in said)
