"""From a caption to the prompt that guides a restorer: a policy that leaves out what makes it invent.

A caption is data. It comes from a model, a file or a person; it is cleaned of what is no text, put into
the recipe's template in one pass (braces in it stay braces), and cut where the restorer stops reading.
Names of places, brands and persons, and lettering read off a picture, are left out of what a captioner
said, because a model that is told them draws them. Whatever was left out is in the record.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from restar.names import KNOWN_NAMES

__all__ = [
    "FIELDS",
    "MOST_CHARACTERS",
    "PromptRecord",
    "clean",
    "estimated_tokens",
    "make_prompt",
    "without_names",
]

MOST_CHARACTERS = 10_000
FIELDS = ("caption", "facts", "condition")

CountTokens = Callable[[str], int]


@dataclass(frozen=True)
class PromptRecord:
    """A prompt and how it came about. `cut` is what the limit took off; `tokens` counts what stayed."""

    text: str
    source: str
    template: str = ""
    left_out: tuple[str, ...] = ()
    cut: str = ""
    tokens: int = 0
    limit: int = 0
    counted: str = "estimate"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "left_out": list(self.left_out)}


def clean(text: str) -> str:
    """Return text on one line, without control and invisible characters, of at most 10,000.

    Markup and orders stay as they are: they are words of somebody, and are shown escaped.
    """
    plain = unicodedata.normalize("NFC", text)
    kept = (
        character if unicodedata.category(character)[0] != "C" else _space_for(character)
        for character in plain
    )
    return " ".join("".join(kept).split())[:MOST_CHARACTERS].rstrip()


def make_prompt(
    template: str,
    values: dict[str, str],
    *,
    source: str,
    limit: int,
    names_blocked: bool = True,
    block: Iterable[str] = (),
    allow: Iterable[str] = (),
    count: CountTokens | None = None,
    counted: str = "estimate",
) -> PromptRecord:
    """Return the prompt of a scene by a recipe's policy.

    `values` holds caption, facts and condition; `source` says whose words they are. `count` counts
    tokens as the restorer's own tokenizer does; without it they are estimated, rather too many.
    """
    said = clean(values.get("caption", ""))
    caption, left_out = without_names(said, block, allow, known=names_blocked)
    filled = {**{name: clean(values.get(name, "")) for name in FIELDS}, "caption": caption}
    text = clean(_FIELD.sub(lambda match: filled[match[1]], template))
    kept, cut = _cut(text, limit, count or estimated_tokens)
    return PromptRecord(
        text=kept,
        source=source,
        template=template,
        left_out=tuple(left_out),
        cut=cut,
        tokens=(count or estimated_tokens)(kept),
        limit=limit,
        counted=counted if count else "estimate",
    )


_FIELD = re.compile(r"\{(" + "|".join(FIELDS) + r")\}")


def estimated_tokens(text: str) -> int:
    """Return about how many tokens CLIP's tokenizer makes: a word, a digit, a sign; long words more."""
    parts = re.findall(r"[^\W\d_]+|\d|[^\w\s]+|_", text)
    return sum(1 + (len(part) - 1) // 8 for part in parts)


def _cut(text: str, limit: int, count: CountTokens) -> tuple[str, str]:
    """Keep as many whole words as the limit takes."""
    if count(text) <= limit:
        return text, ""
    words = text.split(" ")
    low, high = 0, len(words)
    while low < high:  # the largest number of words within the limit
        middle = (low + high + 1) // 2
        if count(" ".join(words[:middle])) <= limit:
            low = middle
        else:
            high = middle - 1
    return " ".join(words[:low]), " ".join(words[low:])


def without_names(
    text: str, block: Iterable[str] = (), allow: Iterable[str] = (), *, known: bool = True
) -> tuple[str, list[str]]:
    """Return a caption without names and lettering, and what was left out.

    Left out are the words of `block`, and where `known`: passages in quotation marks, names that are
    known (in any case), and words with a capital inside a sentence. `allow` spares words.
    """
    spared = {word.lower() for word in allow} | _NO_NAMES
    left_out: list[str] = []

    def drop(match: re.Match[str]) -> str:
        name = match["name"]
        if name.lower() in spared or set(name.lower().split()) <= spared:
            return match[0]
        left_out.append(name)
        if _ADJECTIVE.search(name) and re.match(r" [a-z]", text[match.end() :]):
            return match[0][: match.start("name") - match.start()]  # "in a British uniform"
        return " "

    patterns = [_any_of(tuple(block))] if any(block) else []
    if known:
        patterns += [_QUOTED, _any_of(KNOWN_NAMES), _LEADING, _INSIDE]
    for pattern in patterns:
        text = re.sub(" +", " ", pattern.sub(drop, text))
    return (_mended(text), left_out) if left_out else (text, [])


_NO_NAMES_TEXT = """
i i'm i'd tv dvd 3d monday tuesday wednesday thursday friday saturday sunday january february
march april june july august september october november december christmas easter
"""
_NO_NAMES = frozenset(_NO_NAMES_TEXT.split())
_BEFORE = (
    r"(?:\b(?:in|at|from|near|of|by|to|outside|inside|named|called|like|featuring|starring)\s+)?"
    r"(?:\b(?:the|a|an)\s+)?"
)
_ADJECTIVE = re.compile(r"(?:ish|ian|ese|ican|ch)$")
_CAPITAL = r"[A-Z\u00c0-\u00de][\w\u2019'.-]*\w|[A-Z\u00c0-\u00de]\b"
_JOINED = rf"(?:{_CAPITAL})(?:\s+(?:(?:of|de|von|van|the|la|le)\s+)?(?:{_CAPITAL}))*"
_ALL_OF = r"(?:'s|\u2019s)?"
# Within a sentence: a capital is a name. At its head: only where another capital follows.
_INSIDE = re.compile(rf"(?<=[\w,;:)]\s){_BEFORE}(?P<name>{_JOINED}){_ALL_OF}")
_LEADING = re.compile(
    rf"(?:(?<=^)|(?<=[.!?]\s))(?!(?:A|An|The|In|On|At|Two|This|There)\s)"
    rf"(?P<name>(?:{_CAPITAL})(?:\s+(?:{_CAPITAL}))+){_ALL_OF}"
)
_QUOTED = re.compile(
    r"(?:(?:,?\s*(?:that|which))?\s*\b(?:reads?|reading|says?|saying|labell?ed|titled|entitled|called|"
    r"with the (?:words?|text|letters|title)|the (?:words?|text|letters|title))\s+)?"
    r"(?P<name>\"[^\"]{1,200}\"|\u201c[^\u201d]{1,200}\u201d|\u00ab[^\u00bb]{1,200}\u00bb)"
)


@lru_cache(maxsize=32)
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    listed = "|".join(re.escape(name) for name in names if name)
    return re.compile(rf"(?i){_BEFORE}(?<![\w-])(?P<name>{listed})(?![\w-]){_ALL_OF}")


def _mended(text: str) -> str:
    """Close the gaps that left-out words leave, and begin sentences with a capital again."""
    text = " ".join(text.split())
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    text = re.sub(r"([,;:])(?=[.!?]|$)", "", text)
    text = re.sub(r"(?:^|(?<=[.!?]))\s*[,;:.]+\s*", " ", text).strip()
    text = re.sub(
        r"(?:\s+(?:and|or|with|in|on|at|of|from|near|to|by|the|a|an))+(?=[.!?]|$)", "", text
    )
    return re.sub(r"(^|[.!?]\s+)([a-z])", lambda m: m[1] + m[2].upper(), text)


def _space_for(character: str) -> str:
    """A control character is a gap between words; an invisible mark (zero width, direction) nothing."""
    return " " if unicodedata.category(character) == "Cc" else ""
