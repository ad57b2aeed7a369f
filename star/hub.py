"""Published weights by name, downloaded from the Hugging Face hub by its own library, then taken in.

What is fetched goes through the same checks as a file that was brought by hand (`star.install`).
"""

from pathlib import Path

from restar.errors import CheckpointError
from star.install import Consent, import_weights
from star.known import Known, known_weights
from star.weights import Installed, check_free

__all__ = ["download", "fetch_weights"]


def fetch_weights(home: Path, name: str, consent: Consent, force: bool = False) -> Installed:
    """Fetch weights from the hub and take them in.

    Raises UsageError before anything is fetched for an unknown or taken name and unless the licence is
    accepted; CheckpointError, saying what to do instead, where the hub can't be reached or refuses.
    """
    known = known_weights(name)
    consent.given(known.kind, f"'{name}' ({known.repository})")
    check_free(home, name, force)
    source, origin = download(known)
    return import_weights(home, source, name, consent, force=force, origin=origin)


def download(known: Known) -> tuple[Path, str]:
    """Return the path of what was downloaded and where it came from, with its revision.

    The hub's own cache keeps what came, so a download that was cut off goes on where it was, and one
    that is whole needs no connection.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        folder = Path(snapshot_download(known.repository, allow_patterns=list(known.files)))
    except (GatedRepoError, RepositoryNotFoundError):
        raise CheckpointError(
            f"{known.repository} is given out only to those who agreed to its terms: agree at "
            f"https://huggingface.co/{known.repository}, then set HF_TOKEN and try again"
        ) from None
    except Exception as error:  # whatever its HTTP library raises, which changes with versions
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(_by_hand(known, said)) from None
    missing = [name for name in known.files if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(f"{known.repository} holds no {missing[0]}; nothing was kept")
    return folder / known.path, f"hf://{known.repository}@{folder.name}/{known.path}"


def _by_hand(known: Known, said: str) -> str:
    files = " ".join(known.files)
    return (
        f"the hub can't be reached ({said}). On a machine with a connection: `hf download "
        f"{known.repository} {files} --local-dir DIR`; then here: `restar weights import "
        f"DIR/{known.path} --as {known.name} --accept-licence`"
    )
