"""LaTeX tables compile as they are, and as parts of a document with the packages that they name."""

import shutil
import subprocess

import pytest

from benchmarks.report import report
from tests.synthetic import golden, write
from tests.test_shipped import exported

DOCUMENT = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}Before.\input{%s}After.\end{document}"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
@pytest.mark.parametrize("kind", ["tradeoff", "shipped", "areas"])
@pytest.mark.parametrize("alone", [True, False])
def test_tables_compile(kind, alone, tmp_path):
    records = [*golden()[::9], *golden()[1::9], *({**exported(seed), "seed": 7 + seed} for seed in range(2))]
    folder = write(tmp_path / "demo", records)
    report(folder)
    if not alone:
        (folder / "paper.tex").write_text(DOCUMENT % kind)
    name = kind if alone else "paper"
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-800:]
    assert (folder / f"{name}.pdf").stat().st_size > 5000
    assert "incomplete" not in done.stdout  # what was opened is closed
