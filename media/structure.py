"""Signs of damage in the bytes themselves, where demuxer and decoder keep silent.

A file of boxes (MP4, MOV) or of packets (MPEG-TS) that was cut off has a last one that is not whole.
libav's FFV1 decoder hides a slice whose checksum is wrong behind the frame before; so the checksums are
looked at here (RFC 9043, 4.9: a CRC-32 over each slice and its footer has to be 0).
"""

import zlib
from pathlib import Path

__all__ = ["Ffv1Check", "cut_off"]

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FOOTER = 8  # bytes: size of the slice (3), error status (1), CRC (4)
_TS_SIZES = (188, 192, 204)


def cut_off(path: Path, container: str) -> str:
    """Return how a file's last box or packet is not whole; "" where it is, or can't be told."""
    size = path.stat().st_size
    if "mp4" in container:
        return _cut_box(path, size)
    if container == "mpegts" and all(size % one for one in _TS_SIZES):
        return "its last transport packet is not whole"
    return ""


class Ffv1Check:
    """Looks at the checksums of FFV1 packets, if the stream has any."""

    def __init__(self) -> None:
        self._has_checksums = False
        self._lost = False

    def why_not(self, packet: bytes, is_keyframe: bool) -> str:
        """Return why a packet's picture can't be trusted; "" where it can, or there are no checksums.

        A picture that builds on one that was lost would decode to something else without an error.
        """
        if self._is_damaged(packet):
            self._lost = True
            return "has a wrong checksum"
        self._lost = self._lost and not is_keyframe
        return "builds on a frame that is lost" if self._lost else ""

    def _is_damaged(self, packet: bytes) -> bool:
        slices = _slices(packet)
        right = [_crc(data) == 0 for data in slices]
        self._has_checksums = self._has_checksums or any(right)
        return self._has_checksums and not (right and all(right))


def _slices(packet: bytes) -> list[bytes]:
    """The slices of a packet that ends each with a footer of eight bytes; none if they do not add up."""
    found, end = [], len(packet)
    while end > 0:
        if end < _FOOTER:
            return []
        start = end - _FOOTER - int.from_bytes(packet[end - _FOOTER : end - _FOOTER + 3], "big")
        if start < 0:
            return []
        found.append(packet[start:end])
        end = start
    return found


def _crc(data: bytes) -> int:
    """The CRC of polynomial 0x04C11DB7, most significant bit first, from 0 (bits in reverse)."""
    return zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF


def _cut_box(path: Path, size: int) -> str:
    at = 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return f"its last box at {at} is not whole"
            length = int.from_bytes(head[:4], "big")
            if length == 1 and len(head) == 16:
                length = int.from_bytes(head[8:], "big")
            if length == 0:
                return ""  # to the end of the file, by its own word
            if not head[4:8].isascii() or length < 8:
                return ""  # something else is appended, which is no matter of boxes
            if at + length > size:
                return f"its box '{head[4:8].decode()}' at {at} is not whole"
            at += length
    return ""
