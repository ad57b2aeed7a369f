"""Settings of an installation: where things are kept and how hard to work, from RESTAR_* variables.

A setting changes where or how fast restar works, never what comes out: whatever decides a pixel is
in the recipe, and so in the spec of the take.
"""

from functools import cached_property
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from restar.errors import UsageError

__all__ = ["Settings", "load_settings"]


class Settings(BaseSettings):
    """One installation's settings. Each is read from the variable RESTAR_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="RESTAR_", frozen=True, extra="ignore")

    home: Path = Field(
        default_factory=lambda: Path.home() / ".local" / "share" / "restar",
        description="Folder of the catalog, the store, weights and the engine's own database.",
    )
    database: str = Field(
        default="",
        description="SQLAlchemy URL of the catalog; empty = SQLite in RESTAR_HOME/catalog.sqlite.",
    )
    store: str | None = Field(
        default=None,
        description="Folder of the store, or s3://bucket/prefix; empty = RESTAR_HOME/store.",
    )
    store_cache_gib: float = Field(
        default=100.0,
        gt=0,
        description="With a store on S3: how much of it is kept here at most (GiB).",
    )
    ffmpeg: Path | None = Field(
        default=None,
        description="An ffmpeg to use in the place of the one that is installed along.",
    )
    ffmpeg_at_once: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="How many ffmpeg run on this host at once, started by all processes of this user; 0 "
        "= no limit.",
    )
    lease_seconds: float = Field(
        default=60.0, gt=0, le=86_400, description="How long a claimed job is held without renewal."
    )
    max_attempts: int = Field(
        default=3, ge=1, le=100, description="How often a job is tried before it counts as failed."
    )
    min_free_mib: int = Field(
        default=512,
        ge=0,
        description="Agents stop, cleanly, where the store's disk has less than this free (MiB).",
    )
    max_captioners: int = Field(
        default=0,
        ge=0,
        description="How many captions are made at once, by all agents together; 0 = no limit.",
    )
    quota_gib: float = Field(
        default=0.0,
        ge=0,
        description="Agents stop, cleanly, where all takes together have more than this (GiB); 0 = no "
        "limit.",
    )
    threads: int = Field(
        default=0, ge=0, le=256, description="Threads of a decoder or encoder; 0 = one per core."
    )
    caption_device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Where captioning models run: auto (a GPU where there is one), cpu, cuda, cuda:1.",
    )
    caption_dtype: str = Field(
        default="auto",
        pattern="^(auto|float32|float16|bfloat16)$",
        description="Numbers of captioning models; auto = bfloat16 on a GPU, float32 on a processor.",
    )
    star_device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Where STAR runs: auto (a GPU where there is one), cpu, mps, cuda, cuda:1.",
    )
    star_memory_mib: int = Field(
        default=0,
        ge=0,
        description="Memory that STAR may use (MiB); 0 = most of the device's total. Where it is too "
        "little for a whole window, windows become shorter and pictures are worked on in tiles.",
    )
    star_offload: str = Field(
        default="none",
        pattern="^(none|model|sequential)$",
        description="What waits in main memory while a GPU works: none, model (the parts that are not "
        "at work), sequential (all but one layer; slow).",
    )
    star_compile: bool = Field(
        default=False, description="Compile the network first (minutes; faster on long films)."
    )
    star_channels_last: bool = Field(
        default=False, description="Keep channels last in memory (faster on some GPUs)."
    )
    star_deterministic: bool = Field(
        default=True, description="Refuse operations that give other bytes each time."
    )
    agent: str = Field(
        default="", description="Name of the person or service in events; empty = the user's name."
    )
    log: str = Field(
        default="warning",
        pattern="(?i)^(debug|info|warning|error)$",
        description="Least level of log lines on stderr.",
    )
    log_format: str = Field(
        default="text", pattern="^(text|json)$", description="Log lines as text or as JSON."
    )

    @cached_property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.home.absolute() / 'catalog.sqlite'}"

    @cached_property
    def store_root(self) -> Path:
        """The store's folder here: the store itself, or the cache of one on S3."""
        if self.store is None or "://" in self.store:
            return self.home.absolute() / "store"
        return Path(self.store).absolute()

    @cached_property
    def store_place(self) -> str:
        """Where the store is: a folder, or a URL."""
        return self.store if self.store and "://" in self.store else str(self.store_root)

    @cached_property
    def weights_root(self) -> Path:
        return self.home.absolute() / "weights"

    @cached_property
    def prefect_home(self) -> Path:
        return self.home.absolute() / "prefect"


def load_settings() -> Settings:
    """Return the settings of the environment; raise UsageError naming the wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(f"RESTAR_{name} is not valid: {first['msg']}") from None
