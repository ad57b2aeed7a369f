"""`transformers`: captions by any image- or video-to-text model whose files are here.

A model that takes video is shown the stills of a scene as one; a chat model without video gets them as
several images; a plain captioning model (BLIP) captions each still, and the sentence that has most in
common with the others is kept. Scenes are batched. Nothing is sampled: the same stills give the same
caption. Weights are safetensors, no code of a model is run, nothing is downloaded.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from captioners import Caption, SceneView
from captioners.models import find_model, model_sha256
from restar.errors import CheckpointError, PluginError, RecipeError, UsageError
from restar.hashing import sha256_of
from restar.prompt import clean
from restar.recipe import explain

__all__ = ["INSTRUCTION", "Options", "Vision"]

Still = NDArray[np.uint8]

VERSION = 1
INSTRUCTION = (
    "Describe in one or two plain sentences what this scene of a film shows: who or what is there, "
    "what happens, and where. Say only what can be seen. Name no person, place or brand."
)
_LONG_SIDE = 768  # pixels; no captioning model here looks at more


class Options(BaseModel):
    """The options of the captioner `transformers`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        default="smolvlm2-500m",
        max_length=500,
        description="A name of the table, owner/name, folder.",
    )
    frames: int = Field(default=8, ge=1, le=32, description="Stills of a scene, evenly spread.")
    words: int = Field(default=80, ge=4, le=400, description="Most tokens that are generated.")
    instruction: str = Field(default=INSTRUCTION, max_length=2_000, description="What is asked.")
    batch: int = Field(default=2, ge=1, le=64, description="Scenes at a time.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto, cpu, cuda, cuda:1",
    )
    dtype: str = Field(
        default="auto", pattern="^(auto|float32|float16|bfloat16)$",
        description="auto = bfloat16 on a GPU, float32 on a processor.",
    )  # fmt: skip


class Vision:
    """Captions scenes with a model of transformers, which it keeps until `free`."""

    name = "transformers"

    def __init__(self, weights: Path | None = None) -> None:
        self.weights = weights
        self._loaded: tuple[Any, ...] | None = None
        self._parts: tuple[Any, Any] | None = None

    def revision(self, options: dict[str, Any]) -> str:
        """Return the model's name and a hash of its files and of the options that reach a word.

        Raises CheckpointError where the model is not here.
        """
        chosen = _checked(options)
        folder = find_model(chosen.model, self.weights)
        said = chosen.model_dump(exclude={"device", "batch", "model"})
        key = sha256_of({"model": model_sha256(folder), "version": VERSION, **said})
        return f"transformers-{VERSION}-{folder.name[:80]}-{key[:16]}"

    def stills(self, options: dict[str, Any]) -> int:
        """Return how many stills a scene is shown by."""
        return _checked(options).frames

    def batch(self, options: dict[str, Any]) -> int:
        """Return how many scenes are best captioned at a time."""
        return _checked(options).batch

    def caption(self, stills: Sequence[Still], options: dict[str, Any]) -> Caption:
        """Return the caption of one scene; raise UsageError where it has no still."""
        return self.describe([SceneView(tuple(stills))], options)[0]

    def describe(self, scenes: Sequence[SceneView], options: dict[str, Any]) -> list[Caption]:
        """Return the captions of scenes, `batch` of them at a time."""
        chosen = _checked(options)
        revision = self.revision(options)
        clips = [[_limited(still) for still in scene.stills] for scene in scenes]
        if not all(clips):
            raise UsageError("a scene without a frame can't be captioned")
        texts: dict[int, str] = {}
        for numbers in _batches([len(clip) for clip in clips], chosen.batch):
            said = self._said_of([clips[number] for number in numbers], chosen)
            texts |= dict(zip(numbers, said, strict=True))
        return [Caption(clean(texts[n]), revision, "model") for n in range(len(clips))]

    def tower(self, words: Sequence[str], options: dict[str, Any]) -> NDArray[np.float32]:
        """Return a vector (n, d) for each word: the model's own token embeddings, centred."""
        import torch

        processor, model = self._load(_checked(options))
        table = _token_table(model).weight.detach()
        middle = table.float().mean(dim=0)
        with torch.inference_mode():
            rows = [
                table[torch.tensor(ids, device=table.device)].float().mean(dim=0) - middle
                for word in words
                if (ids := processor.tokenizer(f" {word}", add_special_tokens=False)["input_ids"])
            ]
        found: NDArray[np.float32] = torch.stack(rows).cpu().numpy()
        return found

    def free(self) -> None:
        """Let go of the model and of the memory of its device."""
        if self._parts is None:
            return
        import torch

        self._parts = self._loaded = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _said_of(self, clips: list[list[Still]], options: Options) -> list[str]:
        processor, model = self._load(options)
        try:
            say = _plain if getattr(processor, "chat_template", None) is None else _chat
            with _quiet():
                return say(processor, model, clips, options)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise PluginError(
                f"captioner transformers: {options.model} can't be used to caption "
                f"({type(error).__name__}: {error}); choose another model"
            ) from error
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            self.free()
            raise PluginError(
                f"captioner transformers: {options.model} does not fit into the memory of "
                f'{options.device}; set fewer frames, batch = 1, a smaller model or device = "cpu"'
            ) from error

    def _load(self, options: Options) -> tuple[Any, Any]:
        folder = find_model(options.model, self.weights)
        device, dtype = _place(options)
        wanted = (folder, device, dtype)
        if self._parts is None or self._loaded is None or self._loaded[0] != folder:
            self.free()
            self._parts = _from_folder(folder, dtype)
        if self._loaded != wanted:
            self._parts[1].to(device=device, dtype=dtype)
            self._loaded = wanted
        return self._parts


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Numbers of clips to go together: of one length, since what is padded is said a little otherwise."""
    for length in sorted(set(lengths)):
        numbers = [n for n, one in enumerate(lengths) if one == length]
        for begin in range(0, len(numbers), most):
            yield numbers[begin : begin + most]


def _checked(options: dict[str, Any]) -> Options:
    try:
        return Options.model_validate(options)
    except ValidationError as error:
        raise RecipeError(f"captioner transformers: {explain(error, Options)}") from None


def _place(options: Options) -> tuple[Any, Any]:
    import torch

    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise PluginError(f"captioner transformers: device {device}: there is no such GPU here")
    name = options.dtype
    if name == "auto":
        name = "float32" if device == "cpu" else "bfloat16"
    return torch.device(device), getattr(torch, name)


def _from_folder(folder: Path, dtype: Any) -> tuple[Any, Any]:
    try:
        transformers: Any = import_module("transformers")
    except ImportError:
        raise PluginError(
            "captioner transformers needs torch and transformers: pip install 'restar[star]'"
        ) from None
    safe = {"local_files_only": True, "trust_remote_code": False}
    with _quiet():
        try:
            processor = transformers.AutoProcessor.from_pretrained(folder, **safe)
            config = transformers.AutoConfig.from_pretrained(folder, **safe)
            kind = _class_for(transformers, config)
            model = kind.from_pretrained(folder, use_safetensors=True, dtype=dtype, **safe)
        except ImportError as error:
            raise PluginError(f"captioner transformers: {folder.name}: {error}") from None
        except Exception as error:  # a folder from outside: any part of it may be wrong
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "not readable"
            raise CheckpointError(
                f"{folder}: can't be loaded as a captioning model: {reason}"
            ) from None
    if not hasattr(processor, "tokenizer"):
        raise CheckpointError(
            f"{folder}: its processor has no tokenizer; copy the whole repository"
        )
    processor.tokenizer.padding_side = "left"  # so that all of a batch go on at the same place
    return processor, model.eval()


def _class_for(transformers: Any, config: Any) -> Any:
    """The class that says text to pictures: the auto class knows most, the config names the rest."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    if config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return transformers.AutoModelForImageTextToText
    for name in config.architectures or []:
        if name.endswith("ForConditionalGeneration") and hasattr(transformers, name):
            return getattr(transformers, name)
    raise ValueError(f"'{config.model_type}' is no model that says text to pictures")


@contextmanager
def _quiet() -> Iterator[None]:
    """Transformers tells restar's user nothing: no bars, no advice for programmers."""
    logging: Any = import_module("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _chat(processor: Any, model: Any, clips: list[list[Still]], options: Options) -> list[str]:
    """Ask a chat model about each clip, as a video where it takes video, else as images."""
    as_video = getattr(processor, "video_processor", None) is not None
    see = [{"type": "video"}] if as_video else None
    talks = [
        [{
            "role": "user",
            "content": [
                *(see or [{"type": "image"}] * len(clip)),
                {"type": "text", "text": options.instruction},
            ],
        }]
        for clip in clips
    ]  # fmt: skip
    texts = processor.apply_chat_template(talks, tokenize=False, add_generation_prompt=True)
    pictures: dict[str, Any] = {"images": clips}
    if as_video:
        videos = [_even(clip) for clip in clips]
        pictures = {"videos": videos, "do_sample_frames": False}
        if "smolvlm" in type(processor).__name__.lower():  # its text tells when each frame is
            pictures["video_metadata"] = [_metadata(len(video)) for video in videos]
    inputs = processor(text=texts, return_tensors="pt", padding=True, **pictures)
    said = _generate(model, inputs, options)[:, inputs["input_ids"].shape[1] :]
    return list(processor.batch_decode(said, skip_special_tokens=True))


def _plain(processor: Any, model: Any, clips: list[list[Still]], options: Options) -> list[str]:
    """Caption every still; keep, for each clip, the sentence that agrees most with the others."""
    stills = [still for clip in clips for still in clip]
    said: list[str] = []
    for begin in range(0, len(stills), 8):
        inputs = processor(images=stills[begin : begin + 8], return_tensors="pt")
        tokens = _generate(model, inputs, options)
        said += processor.batch_decode(tokens, skip_special_tokens=True)
    texts, at = [], 0
    for clip in clips:
        texts.append(_most_typical(said[at : at + len(clip)]))
        at += len(clip)
    return texts


def _generate(model: Any, inputs: Any, options: Options) -> Any:
    import torch

    moved = {
        name: value.to(
            device=model.device, dtype=model.dtype if value.is_floating_point() else None
        )
        for name, value in inputs.items()
        if isinstance(value, torch.Tensor)
    }
    with torch.inference_mode():
        return model.generate(**moved, max_new_tokens=options.words, do_sample=False, num_beams=1)


def _token_table(model: Any) -> Any:
    """The table of the vectors that the text part of a model has for its tokens."""
    text = getattr(model, "text_decoder", model)  # BLIP's own is of its patches
    return text.get_input_embeddings()


def _most_typical(sentences: list[str]) -> str:
    words = [set(sentence.lower().split()) for sentence in sentences]

    def agreement(number: int) -> float:
        mine = words[number]
        return sum(len(mine & other) / max(1, len(mine | other)) for other in words)

    return sentences[max(range(len(sentences)), key=lambda n: (agreement(n), -n))]


def _metadata(frames: int) -> dict[str, Any]:
    return {"fps": 1.0, "duration": float(frames), "total_num_frames": frames,
            "frames_indices": list(range(frames))}  # fmt: skip


def _even(clip: list[Still]) -> NDArray[np.uint8]:
    """Stills as one video (t, h, w, 3); a single one twice, since some models pair frames in time."""
    return np.stack(clip if len(clip) > 1 else clip * 2)


def _limited(still: Still) -> Still:
    """A still of 28 to _LONG_SIDE pixels: smaller ones have no patch that a model could look at."""
    height, width = still.shape[:2]
    scale = min(1.0, _LONG_SIDE / max(height, width))
    size = (max(28, round(width * scale)), max(28, round(height * scale)))
    if size == (width, height):
        return still
    return np.asarray(cv2.resize(still, size, interpolation=cv2.INTER_AREA), np.uint8)
