"""Under which licences the weights stand that this program can fetch or take in, in a few words each.

A licence is shown before weights are used, and who accepted it when is recorded with them.
"""

from dataclasses import dataclass

from restar.errors import UsageError

__all__ = ["LICENCES", "OWN", "Licence", "accepted", "licence_called"]


@dataclass(frozen=True)
class Licence:
    """One licence; `commercial_use` is whether it allows any commercial use without conditions."""

    name: str
    holder: str
    url: str
    commercial_use: bool
    terms: str


OWN = Licence(
    "Apache-2.0",
    "the restar authors",
    "https://www.apache.org/licenses/LICENSE-2.0",
    True,
    "made by this program, free to use",
)

LICENCES: dict[str, Licence] = {
    "denoiser": Licence(
        "MIT",
        "the STAR authors (Nanjing University, ByteDance, Southwest University)",
        "https://github.com/NJU-PCALab/STAR",
        True,
        "free to use, with the notice kept",
    ),
    "vae": Licence(
        "Stability AI Community License",
        "Stability AI",
        "https://stability.ai/community-license-agreement",
        False,
        "free for research and for those who earn under 1 million US dollars a year; others need an "
        "agreement with Stability AI; an acceptable-use policy applies",
    ),
    "text": Licence(
        "MIT",
        "LAION (CLIP ViT-H/14, trained on LAION-2B)",
        "https://huggingface.co/laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        True,
        "free to use, with the notice kept",
    ),
}


def licence_called(text: str) -> Licence:
    """Return a licence that the user names for weights of other origin."""
    if not text.strip():
        raise UsageError("--licence is empty; name the licence of the weights, as in --licence MIT")
    return Licence(text.strip(), "", "", False, "as its holder says")


def accepted(licence: Licence, what: str, yes: bool) -> Licence:
    """Return the licence; raise UsageError, which shows it, unless the user said yes to it."""
    if yes:
        return licence
    where = f", {licence.url}" if licence.url else ""
    holder = f" of {licence.holder}" if licence.holder else ""
    raise UsageError(
        f"{what} is under the licence {licence.name}{holder}{where}: {licence.terms}. "
        "Read it; if you accept it, give the same command with --accept-licence"
    )
