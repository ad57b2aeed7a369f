"""Settings come from RESTAR_* variables; a wrong one is named, and each one is in docs/cli.md."""

from pathlib import Path

import pytest

from restar.errors import UsageError
from restar.settings import Settings, load_settings

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def test_everything_lies_under_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"RESTAR_{name.upper()}", raising=False)
    monkeypatch.setenv("RESTAR_HOME", str(tmp_path))
    settings = load_settings()
    assert settings.database_url == f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    assert settings.store_root == tmp_path / "store"
    assert settings.prefect_home == tmp_path / "prefect"


@pytest.mark.parametrize(
    ("name", "value"),
    [("LEASE_SECONDS", "0"), ("MAX_ATTEMPTS", "many"), ("LOG", "loud"), ("THREADS", "-1")],
)
def test_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"RESTAR_{name}", value)
    with pytest.raises(UsageError, match=f"RESTAR_{name} is not valid"):
        load_settings()


def test_each_is_documented() -> None:
    text = DOCS.read_text()
    missing = [name for name in Settings.model_fields if f"RESTAR_{name.upper()}" not in text]
    assert missing == []
