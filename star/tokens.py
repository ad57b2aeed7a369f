"""Prompts to CLIP's token ids, exactly as OpenCLIP gives them: cut at 77, padded with 0.

transformers' own CLIP tokenizer neither mends mis-encoded text nor resolves HTML entities and pads
with the end token, so some prompts would come out otherwise. The words are split as OpenCLIP does, and
the `tokenizers` library merges their bytes.
"""

import gzip
import html
import logging
from dataclasses import dataclass
from functools import cache
from importlib import resources

import ftfy
import regex
from tokenizers.models import BPE

__all__ = ["CONTEXT", "END", "PAD", "START", "Tokens", "merges", "pieces", "tokenize", "tokens_of"]

CONTEXT = 77
PAD, START, END = 0, 49406, 49407

_logger = logging.getLogger("restar.star.tokens")
_SPECIAL = {"<start_of_text>": START, "<end_of_text>": END}
_WORD = regex.compile(
    r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+",
    regex.IGNORECASE,
)
_END_OF_WORD = "</w>"
_SHOWN = 400


@dataclass(frozen=True)
class Tokens:
    """A prompt's CONTEXT token ids, how many of them are used, and the text that did not fit."""

    ids: tuple[int, ...]
    used: int
    cut: str


def tokenize(prompt: str, context: int = CONTEXT) -> Tokens:
    """Return the ids of a prompt; what is over the context is cut off, with a warning that shows it."""
    found = tokens_of(prompt, context)
    if found.cut:
        _logger.warning(
            "the prompt is longer than the %d tokens that the text model reads; not read: %r",
            context,
            found.cut if len(found.cut) <= _SHOWN else found.cut[:_SHOWN] + "...",
        )
    return found


def tokens_of(prompt: str, context: int = CONTEXT) -> Tokens:
    """Return the ids of a prompt, and what was cut off, without a warning."""
    words = _WORD.findall(clean(prompt))
    ids: list[int] = [START]
    room = context - 2
    cut = ""
    for index, word in enumerate(words):
        more = _word_ids(word)
        if len(ids) - 1 + len(more) > room:
            ids += more[: room + 1 - len(ids)]
            cut = " ".join(words[index:])
            break
        ids += more
    ids.append(END)
    return Tokens((*ids, *[PAD] * (context - len(ids))), len(ids), cut)


def clean(prompt: str) -> str:
    """Return the prompt mended (ftfy), without HTML entities, its white space made single, lower case."""
    mended = html.unescape(html.unescape(ftfy.fix_text(prompt))).strip()
    return regex.sub(r"\s+", " ", mended).strip().lower()


def _word_ids(word: str) -> list[int]:
    if word in _SPECIAL:
        return [_SPECIAL[word]]
    letters = _letters()
    return [token.id for token in _merger().tokenize("".join(letters[b] for b in word.encode()))]


@cache
def _letters() -> tuple[str, ...]:
    """Return the sign that stands for each byte: itself where it can be seen, else one from 256 up."""
    seen = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in seen]
    return tuple(chr(b) if b in seen else chr(256 + hidden.index(b)) for b in range(256))


@cache
def merges() -> list[tuple[str, str]]:
    """Return the pairs of pieces that are merged, most frequent first."""
    packed = resources.files("star").joinpath("vocabulary", "merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().split("\n")
    return [(first, second) for first, second in map(str.split, lines)]


@cache
def pieces() -> list[str]:
    """Return the pieces of words, by their ids: bytes, bytes at a word's end, then what merges give."""
    letters = sorted(_letters(), key=lambda sign: (ord(sign) >= 256, ord(sign)))
    merged = ["".join(pair) for pair in merges()]
    return [*letters, *[sign + _END_OF_WORD for sign in letters], *merged]


@cache
def _merger() -> BPE:
    vocabulary = {piece: index for index, piece in enumerate([*pieces(), *_SPECIAL])}
    return BPE(vocabulary, merges(), end_of_word_suffix=_END_OF_WORD)
