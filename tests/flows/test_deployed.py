"""prefect.yaml names flows that are there, with parameters that a form can ask for."""

from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOYED: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())


def test_it_is_of_the_prefect_that_is_installed() -> None:
    assert DEPLOYED["prefect-version"] == version("prefect")


@pytest.mark.parametrize("deployment", DEPLOYED["deployments"], ids=lambda one: one["name"])
def test_a_deployment_is_a_flow(deployment: dict[str, Any]) -> None:
    from prefect import Flow

    path, _, name = deployment["entrypoint"].partition(":")
    flow = getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(flow, Flow)
    assert flow.name == deployment["name"]
    assert flow.persist_result is False
    assert deployment["work_pool"]["name"] in {"cpu", "gpu"}
    known = set(flow.parameters.properties)
    assert set(deployment.get("parameters", {})) <= known
    assert set(flow.parameters.required) <= {
        "film",
        "restoration",
        "target",
        "source",
        "folder",
        "scenes",
    }
