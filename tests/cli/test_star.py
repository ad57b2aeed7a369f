"""`restar parity` and `restar weights` as a user gives them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from catalog import open_catalog
from catalog.models import ModelLicenceRow
from tests.cli.conftest import Restar, everything_in

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "tests" / "star" / "reference"


def test_help_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['restar', 'weights', '--help']\n"
        "import cli, star, star.weights, star.known, star.licences, star.installed\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "[]"
    for command in ("list", "fetch", "import", "check", "init"):
        assert command in run.stdout


def test_parity(restar: Restar, tmp_path: Path) -> None:
    folder = tmp_path / "fixtures"
    folder.mkdir()
    for name in ("df_loss.safetensors", "schedule.safetensors", "sampler_info.json", "README.md"):
        shutil.copy(REFERENCE / name, folder / name)
    answer = restar("parity", folder, "--dump", tmp_path / "out")
    assert "df_loss losses" in answer.out
    assert answer.out.splitlines()[-1].endswith("0 failed")
    assert everything_in(tmp_path / "out") == {"df_loss.safetensors", "schedule.safetensors"}
    (folder / "notes.json").write_text("{}")
    answer = restar("parity", folder, fails=True)
    assert answer.status == 1
    assert "notes" in answer.out and "FAILED" in answer.out


@pytest.mark.parametrize(("arguments", "says"), [
    (("nowhere",), "no such folder"), ((".", "--dump", "."), "folder of the fixtures itself"),
])  # fmt: skip
def test_parity_bad_input(
    restar: Restar,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = restar("parity", *arguments, fails=True)
    assert answer.status == 2
    assert says in answer.err


def test_an_empty_folder_proves_nothing(restar: Restar, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no fixture found" in restar("parity", tmp_path / "empty", fails=True).out


def test_module_is_the_same_command(tmp_path: Path) -> None:
    shutil.copy(REFERENCE / "df_loss.safetensors", tmp_path)
    command = [sys.executable, "-m", "star.parity", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.splitlines()[-1]) == (0, "3 fixtures, 0 failed")


def test_weights_from_init_to_doctor(restar: Restar, home: Path) -> None:
    made = restar("weights", "init", "--config", "tiny", "--as", "try")
    assert made.path == home / "weights" / "try"
    assert "untrained" in made.err
    assert len(restar("weights", "check", "try").out.strip()) == 64
    listed = restar("weights", "list", "--json").json
    (record,) = listed["installed"]
    assert (record["name"], record["trained"]) == ("try", False)
    assert [known["name"] for known in listed["known"]] == [
        "star-light", "star-heavy", "svd-vae", "clip-h-text",
    ]  # fmt: skip
    table = restar("weights", "list").out
    assert "untrained" in table and "star-heavy" in table
    assert "weights try" in restar("doctor").out
    with open_catalog(f"sqlite:///{home / 'catalog.sqlite'}") as catalog, catalog.read() as session:
        (row,) = session.query(ModelLicenceRow).all()
        assert (row.model_sha256, row.licence) == (record["sha256"], "Apache-2.0")
    answer = restar("weights", "init", "--as", "try", fails=True)
    assert answer.status == 2


def test_hostile_weights_leave_nothing(restar: Restar, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "light_deg.pt"
    torch.save({"input_blocks.0.0.weight": torch.ones(3)}, path)
    answer = restar("weights", "import", path, "--as", "mine", fails=True)
    assert answer.status == 2
    assert "--accept-licence" in answer.err
    answer = restar("weights", "import", path, "--as", "mine", "--accept-licence", fails=True)
    assert answer.status == 7
    assert "'input_blocks.0.0.weight' is of shape (3,)" in answer.err
    assert "Traceback" not in answer.err
    assert everything_in(home / "weights") == set()


def test_fetching_without_a_connection_says_what_to_do(
    restar: Restar, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    answer = restar("weights", "fetch", "star-light", "--accept-licence", fails=True)
    assert answer.status == 7
    assert "hub can't be reached" in answer.err
    assert "restar weights import DIR/I2VGen-XL-based/light_deg.pt --as star-light" in answer.err
    assert everything_in(home / "weights") == set()
    assert restar("weights", "fetch", "other", "--accept-licence", fails=True).status == 2


def test_fetching_takes_in_what_the_hub_gives(
    restar: Restar, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from diffusers import AutoencoderKLTemporalDecoder

    from star.configuration import load_config

    snapshot = tmp_path / "snapshots" / "abc123"
    AutoencoderKLTemporalDecoder(**load_config("tiny").vae).save_pretrained(snapshot / "vae")
    asked = []

    def give(repository: str, allow_patterns: list[str]) -> str:
        asked.append((repository, allow_patterns))
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", give)
    restar("weights", "fetch", "svd-vae", "--accept-licence")
    record = json.loads((home / "weights" / "svd-vae" / "weights.json").read_text())
    assert record["source"] == "hf://stabilityai/stable-video-diffusion-img2vid@abc123/vae"
    assert "@" in record["accepted_by"]
    assert len(asked) == 1
