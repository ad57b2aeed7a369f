"""What deploy/ shows can be parsed, and names commands, options, settings and statuses that are there."""

import configparser
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cli.app import app
from flows.stop import AGAIN
from restar.errors import UnfitError, UsageError
from restar.settings import Settings

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted(DEPLOY.glob("systemd/*.service"))
COMMANDS: Any = typer.main.get_command(app)


def check_command(words: list[str]) -> None:
    """A command line of restar, or of one of its modules, has to be one that works."""
    if Path(words[0]).name == "restar":
        command = COMMANDS.commands[words[1]]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words[2:] if word.startswith("--")} <= options, words
    elif "-m" in words:
        module = words[words.index("-m") + 1]
        assert (DEPLOY.parent / f"{module.replace('.', '/')}.py").is_file(), words
    else:
        assert Path(words[0]).name == "prefect", words
        assert words[1:3] == ["worker", "start"], words


def check_settings(names: set[str]) -> None:
    ours = {name for name in names if name.startswith("RESTAR_")}
    assert ours <= {f"RESTAR_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_units(unit: Path) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    assert set(parser.sections()) == {"Unit", "Service", "Install"}
    service = parser["Service"]
    check_command(shlex.split(service["ExecStart"]))
    assert service["EnvironmentFile"] == "/etc/restar.env"
    assert "PREFECT_HOME" in unit.read_text() or "agent" in unit.name
    if "agent" in unit.name:
        assert service["SuccessExitStatus"] == str(AGAIN)
        statuses = {UsageError.exit_status, UnfitError.exit_status}
        assert {int(n) for n in service["RestartPreventExitStatus"].split()} == statuses
        grace = int(re.findall(r"--grace (\d+)", service["ExecStart"])[0])
        assert int(service["TimeoutStopSec"]) > grace


def test_the_environment_file_names_settings_that_are_there() -> None:
    lines = (DEPLOY / "systemd" / "restar.env").read_text().splitlines()
    names = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    check_settings(names)
    assert {"RESTAR_DATABASE", "RESTAR_STORE", "PREFECT_API_URL"} <= names


def test_compose() -> None:
    data = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = data["services"]
    assert set(services) == {"database", "server", "deploy", "worker-cpu", "worker-gpu"}
    for name, service in services.items():
        if name != "database":
            check_settings(set(service["environment"]))
        for needed in service.get("depends_on", {}):
            assert needed in services
    for name in ("server", "worker-cpu", "worker-gpu"):
        check_command(shlex.split(services[name]["command"]))
    named = {v.partition(":")[0] for s in services.values() for v in s.get("volumes", [])}
    assert {v for v in named if v.isalpha()} == set(data["volumes"])
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    check_command(json.loads(re.findall(r"^CMD (.*)$", dockerfile, re.M)[0]))


def test_kubernetes() -> None:
    job = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]["template"]["spec"]
    (agent,) = spec["containers"]
    check_command(agent["command"])
    check_settings({one["name"] for one in agent["env"]})
    ignore, fail = job["spec"]["podFailurePolicy"]["rules"]
    assert ignore["onExitCodes"]["values"] == [AGAIN]
    assert fail["onExitCodes"]["values"] == [UsageError.exit_status, UnfitError.exit_status]
    grace = int(agent["command"][agent["command"].index("--grace") + 1])
    assert spec["terminationGracePeriodSeconds"] > grace
    mounts = {one["name"] for one in agent["volumeMounts"]}
    assert mounts == {one["name"] for one in spec["volumes"]}
    assert spec["restartPolicy"] == "Never", "podFailurePolicy asks for it"


def test_slurm() -> None:
    script = DEPLOY / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("exec srun ")]
    words = shlex.split(line.removeprefix("exec srun "))
    check_command(words)
    warned = int(re.findall(r"--signal=TERM@(\d+)", text)[0])
    assert warned > int(words[words.index("--grace") + 1])
    check_settings(set(re.findall(r"export (\w+)=", text)))
