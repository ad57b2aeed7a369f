"""Writes the lock files: `python requirements/lock.py` after a dependency in pyproject.toml changed.

pip resolves each set as if nothing were installed; what it chose is written down, and CI and make
install exactly that. Of the two OpenCVs that come in (scenedetect and pyiqa bring opencv-python), only
the one without a GUI is kept, which is why the files are complete and installed with --no-deps.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SETS = {"base": ".", "all": ".[all,dev]"}
LEFT_OUT = {"restar", "opencv-python"}


def lock(name: str, wanted: str) -> None:
    """Resolve one set and write its file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = ["pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
        subprocess.run(
            [sys.executable, "-m", *command, "--report", str(report), "-e", wanted],
            check=True,
            cwd=HERE.parent,
        )
        installed = json.loads(report.read_text())["install"]
    pins = {item["metadata"]["name"]: item["metadata"]["version"] for item in installed}
    lines = [
        f"{package}=={version}"
        for package, version in sorted(pins.items(), key=lambda pin: pin[0].lower())
        if package.lower() not in LEFT_OUT
    ]
    text = "# Written by requirements/lock.py; install with --no-deps.\n" + "\n".join(lines) + "\n"
    (HERE / f"{name}.txt").write_text(text)
    print(f"{name}.txt: {len(lines)} packages")


if __name__ == "__main__":
    for name, wanted in SETS.items():
        lock(name, wanted)
