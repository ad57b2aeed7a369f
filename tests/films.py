"""Films for tests, made by ffmpeg's own generators: small, exact, each with one trap of the field."""

from collections.abc import Sequence
from pathlib import Path

from media import ffmpeg

__all__ = ["FILMS", "make_film", "run_ffmpeg", "scenes_film"]

_SINE = ["-f", "lavfi", "-i", "sine=f=440:r=48000:d={seconds}"]


def _test_pattern(size: str, rate: str, seconds: str) -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"]


# The five films of the first round trip: name -> (file name, ffmpeg arguments before the output).
FILMS: dict[str, tuple[str, list[str]]] = {
    "cfr_aac": (
        "cfr.mp4",
        [
            *_test_pattern("128x96", "24000/1001", "1.5"),
            *[a.format(seconds="1.5") for a in _SINE],
            *["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "12"],
            *["-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k"],
            *["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"],
            *["-color_range", "tv", "-metadata", "title=Round trip"],
            *["-metadata:s:a:0", "language=ger"],
        ],
    ),
    "vfr": (
        "vfr.mkv",
        [
            *_test_pattern("96x64", "30", "2"),
            *["-vf", "select='not(mod(n,3))+not(mod(n,7))',setpts=PTS+0.013/TB"],
            *["-fps_mode", "passthrough", "-c:v", "libx264", "-preset", "ultrafast"],
            *["-pix_fmt", "yuv420p"],
        ],
    ),
    "422_10_pcm": (
        "prores.mov",
        [
            *_test_pattern("160x90", "25", "1"),
            *[a.format(seconds="1") for a in _SINE],
            *["-f", "lavfi", "-i", "anoisesrc=r=48000:d=1:seed=5"],
            *["-map", "0:v", "-map", "1:a", "-map", "2:a"],
            *["-c:v", "prores_ks", "-profile:v", "2", "-pix_fmt", "yuv422p10le"],
            *["-c:a", "pcm_s24le", "-metadata:s:a:1", "language=fra"],
            *["-aspect", "16:9"],
        ],
    ),
    "odd_gray": (
        "gray.mkv",
        [
            *_test_pattern("132x78", "18", "1"),
            *[
                "-vf",
                "format=gray,crop=131:77:0:0:exact=1,setsar=1232/1179:max=10000",
                "-c:v",
                "ffv1",
            ],
        ],
    ),
    "one_frame": (
        "one.mp4",
        [
            *_test_pattern("64x48", "25", "1"),
            *["-frames:v", "1", "-pix_fmt", "yuv420p", "-c:v", "libx264"],
        ],
    ),
}


def make_film(folder: Path, name: str) -> Path:
    """Make one of FILMS in `folder`; return its path."""
    file_name, arguments = FILMS[name]
    path = folder / file_name
    run_ffmpeg([*arguments, str(path)])
    return path


def scenes_film(
    path: Path, lengths: Sequence[int] = (20, 24, 22, 18), size: str = "96x64", sound: bool = True
) -> Path:
    """Make a film of hard-cut scenes, `lengths` frames each at 24 a second, each of its own look."""
    looks = [
        "testsrc2=s={s}:r=24:d={d}",
        "mandelbrot=s={s}:r=24,trim=duration={d}",
        "smptebars=s={s}:r=24:d={d},hue=h=90*t",
        "life=s={s}:r=24:mold=10:seed=3:ratio=0.4,trim=duration={d}",
        "gradients=s={s}:r=24:d={d}:seed=4:c0=red:c1=blue",
        "rgbtestsrc=s={s}:r=24:d={d},negate",
    ]
    inputs: list[str] = []
    joined = ""
    for number, length in enumerate(lengths):
        look = looks[number % len(looks)].format(s=size, d=f"{length / 24:.6f}")
        inputs += ["-f", "lavfi", "-i", look]
        joined += f"[{number}:v]trim=end_frame={length},setsar=1,format=yuv420p[v{number}];"
    joined += "".join(f"[v{n}]" for n in range(len(lengths)))
    joined += f"concat=n={len(lengths)}:v=1:a=0[v]"
    maps = ["-map", "[v]"]
    if sound:
        inputs += ["-f", "lavfi", "-i", f"sine=f=330:r=44100:d={sum(lengths) / 24}"]
        maps += ["-map", f"{len(lengths)}:a", "-c:a", "aac"]
    run_ffmpeg(
        [
            *inputs,
            *["-filter_complex", joined, *maps],
            *["-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", str(path)],
        ]
    )
    return path


def run_ffmpeg(arguments: Sequence[str]) -> None:
    ffmpeg.run(["-y", *arguments], "making a film for a test")
