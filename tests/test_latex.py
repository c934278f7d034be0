"""LaTeX tables compile as they are, and as parts of a document with the packages that they name."""

import shutil
import subprocess

import pytest

from benchmarks import areas, cells, shipped, typesetting
from benchmarks.frame import frame
from benchmarks.tables import tradeoff
from tests.synthetic import golden
from tests.test_shipped import exported

DOCUMENT = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}Before.\input{%s}After.\end{document}"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
@pytest.mark.parametrize("kind", ["tradeoff", "shipped", "areas"])
@pytest.mark.parametrize("alone", [True, False])
def test_tables_compile(kind, alone, tmp_path):
    whole, files = frame(golden()), [exported(seed) for seed in range(2)]
    tables = {
        "tradeoff": cells.table(tradeoff(whole)),
        "areas": areas.table(areas.areas(areas.curves(whole))),
        "shipped": shipped.table(shipped.shipped(files, frame(files))),
    }
    (tmp_path / f"{kind}.tex").write_text(typesetting.latex(tables[kind]))
    (tmp_path / "paper.tex").write_text(DOCUMENT % kind)
    name = kind if alone else "paper"
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-800:]
    assert (tmp_path / f"{name}.pdf").stat().st_size > 5000
    assert "incomplete" not in done.stdout  # what was opened is closed
