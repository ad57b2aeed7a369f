"""Plug-ins are found by name; what can't be loaded says what is missing."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

import restar.plugins
from restar.errors import PluginError
from restar.plugins import load_plugin, plugin_names


def test_each_family_has_its_trivial_member() -> None:
    assert {"identity", "resize"} <= set(plugin_names("restorers"))
    assert "fixed" in plugin_names("captioners")
    assert "psnr-to-source" in plugin_names("scorers")


def test_an_unknown_one_names_those_that_are_there() -> None:
    with pytest.raises(PluginError, match=r"restorer 'magic' is not known; installed: .*identity"):
        load_plugin("restorers", "magic")


def test_one_whose_library_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("needy", "no_such_library.module:Thing", "restar.restorers")
    monkeypatch.setattr(restar.plugins, "entry_points", lambda group: [entry])
    load: Any = load_plugin.__wrapped__
    with pytest.raises(PluginError, match=r"'needy' needs a package.*no_such_library"):
        load("restorers", "needy")
