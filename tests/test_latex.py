"""LaTeX tables compile with the packages that they name."""

import shutil
import subprocess

import pytest

from benchmarks import shipped, typesetting
from benchmarks.frame import frame
from benchmarks.tables import tradeoff
from tests.synthetic import golden
from tests.test_shipped import exported

DOCUMENT = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}%s\end{document}"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
@pytest.mark.parametrize("kind", ["tradeoff", "shipped"])
def test_tables_compile(kind, tmp_path):
    records = [exported(seed) for seed in range(2)]
    tables = {
        "tradeoff": typesetting.latex(tradeoff(frame(golden()))),
        "shipped": shipped.latex(shipped.shipped(records, frame(records))),
    }
    (tmp_path / "table.tex").write_text(DOCUMENT % tables[kind])
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-800:]
    assert (tmp_path / "table.pdf").stat().st_size > 5000
