"""Odd kinds of films, each with one trap of the field, in a few small frames made by ffmpeg.

`KINDS` maps a file name to ffmpeg's arguments; `{folder}` stands for the folder with `helpers` in it.
"""

import struct
from collections.abc import Callable
from pathlib import Path

from tests.films import run_ffmpeg

__all__ = ["KINDS", "MADE", "make_kind"]


def _picture(size: str = "64x48", rate: str = "25", seconds: str = "0.4") -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"]


def _tone(seconds: str = "0.4", rate: int = 48000, hertz: int = 440) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=f={hertz}:r={rate}:d={seconds}"]


def _words(text: str) -> list[str]:
    return text.split()


_V, _A = _picture(), _tone()
_264 = _words("-c:v libx264 -preset ultrafast -pix_fmt yuv420p")
_M2 = _words("-c:v mpeg2video -q:v 3")
_SRT = ["-i", "{folder}/helper.srt"]
_HDR10 = (
    "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):"
    "max-cll=1000,400"
)
_265 = [*_words("-c:v libx265 -pix_fmt yuv420p10le -x265-params"), _HDR10]

KINDS: dict[str, list[str]] = {
    # other streams
    "timecode track.mov": [*_V, *_A, *_words("-c:v prores_ks -c:a pcm_s16le -timecode 01:00:00:00")],
    "drop frame.mov": [*_picture(rate="30000/1001"), "-c:v", "prores_ks", "-timecode", "00:59:59;20"],
    "mov_text.mp4": [*_V, *_A, *_SRT, *_264, *_words("-c:a aac -c:s mov_text"),
                     "-metadata:s:s:0", "language=jpn"],
    "subrip.mkv": [*_V, *_SRT, *_264, "-c:s", "srt"],
    "ass and font.mkv": [*_V, *_SRT, *_264, "-c:s", "ass", "-attach", "{folder}/helper.srt",
                         "-metadata:s:t", "mimetype=font/ttf"],
    "webvtt.webm": [*_V, *_SRT, *_words("-c:v libvpx -deadline realtime -c:s webvtt")],
    "adts.ts": [*_V, *_A, *_264, *_words("-c:a aac -bf 2")],
    "latm.ts": [*_V, *_A, *_264, *_words("-c:a aac -mpegts_flags latm")],
    "pcm_dvd.vob": [*_picture("64x48"), *_A, *_M2, *_words("-c:a pcm_dvd -f vob")],
    "pcm_bluray.m2ts": [*_V, *_A, *_264, *_words("-c:a pcm_bluray -mpegts_m2ts_mode 1")],
    "s302m.ts": [*_V, *_A, *_M2, *_words("-ac 2 -c:a s302m -strict -2")],
    "ima.mov": [*_V, *_A, *_words("-c:v prores_ks -c:a adpcm_ima_qt -ac 2")],
    "eight bit sound.mov": [*_V, *_A, *_words("-c:v prores_ks -c:a pcm_s8")],
    "chapters.mp4": [*_V, *_A, "-i", "{folder}/helper.txt", *_words("-map 0 -map 1 -map_metadata 2"),
                     *_264, "-c:a", "aac"],
    "cover.mp4": [*_V, *_A, *_picture("32x32"), *_words("-map 0 -map 1 -map 2 -frames:v:1 1"), *_264,
                  *_words("-c:v:1 png -disposition:v:1 attached_pic -c:a aac")],
    "two pictures.mkv": [*_V, *_picture("32x32"), *_words("-map 0 -map 1"), *_264,
                         *_words("-disposition:v:0 0 -disposition:v:1 default")],
    "many sounds.mkv": [
        *_V, *_tone("0.7"), "-f", "lavfi", "-i", "anoisesrc=d=0.2,aformat=channel_layouts=5.1",
        *_tone("0.3"), *_words("-map 0 -map 1 -map 2 -map 3"), *_264,
        *_words("-c:a:0 pcm_s24le -c:a:1 flac -c:a:2 aac -ac:a:2 1 -disposition:a:1 default+dub"),
        "-metadata:s:a:1", "title=Geräusche 東", "-metadata:s:a:2", "language=fra",
    ],
    "opus.webm": [*_V, *_A, *_words("-c:v libvpx-vp9 -deadline realtime -c:a libopus")],
    "vorbis.ogv": [*_picture("96x64"), *_A, *_words("-c:v libtheora -c:a libvorbis")],
    "wma.wmv": [*_V, *_tone(rate=44100), *_words("-c:v wmv2 -c:a wmav2")],
    "truehd.mkv": [*_V, *_A, *_264, *_words("-c:a truehd -strict -2")],
    # time
    "missing pts.avi": [*_V, *_A, *_words("-c:v mpeg4 -bf 2 -c:a libmp3lame")],
    "program stream.mpg": [*_V, *_A, *_M2, *_words("-c:a mp2 -bf 2 -f mpeg")],
    "raw.h264": [*_V, *_264, "-bf", "2"],
    "late.ts": [*_V, *_A, *_264, *_words("-c:a ac3 -output_ts_offset 95000")],
    "below zero.mkv": [*_V, *_A, *_264, *_words("-c:a aac -output_ts_offset -0.2"),
                       *_words("-avoid_negative_ts disabled")],
    "late picture.mp4": ["-itsoffset", "0.3", *_V, *_A, *_264, "-c:a", "aac"],
    "fragmented.mp4": [*_V, *_A, *_264, *_words("-c:a aac -movflags frag_keyframe+empty_moov")],
    "vfr.mp4": [*_V, "-vf", "setpts=PTS+0.04*N*N/25/TB", "-fps_mode", "passthrough", *_264],
    "open gop.mpg": [*_picture(seconds="1"), *_M2, *_words("-bf 2 -g 8 -f mpeg")],
    # tags and fields
    "hdr10.mp4": [*_V, *_265],
    "chapters.mkv": [*_V, "-i", "{folder}/helper.txt", *_words("-map 0 -map_metadata 1"), *_264],
    "sar.mp4": [*_picture("72x58"), *_264, "-vf", "setsar=16/15"],
    "colours.mkv": [*_V, *_264, *_words("-color_primaries bt470bg -color_trc gamma28 -color_range pc"),
                    *_words("-colorspace bt470bg")],
    "tff.mpg": [*_picture(rate="50"), "-vf", "interlace=scan=tff", *_M2,
                *_words("-flags +ilme+ildct -f mpeg")],
    "bff.mkv": [*_picture(rate="50"), "-vf", "interlace=scan=bff", *_words("-c:v ffv1 -pix_fmt yuv422p")],
    "mbaff.mp4": [*_V, *_264, *_words("-x264-params tff=1 -flags +ilme+ildct")],
    "telecine.mkv": [*_picture(rate="24000/1001"), "-vf", "telecine=pattern=23", *_264,
                     *_words("-flags +ilme+ildct")],
    "tff.mov": [*_picture(rate="50"), "-vf", "interlace=scan=tff",
                *_words("-c:v prores_ks -flags +ilme")],
    # pixel formats
    "uyvy.avi": [*_V, *_words("-c:v rawvideo -pix_fmt uyvy422")],
    "bgr24 odd.avi": [*_picture("63x47"), *_words("-c:v rawvideo -pix_fmt bgr24")],
    "palette.avi": [*_V, *_words("-c:v rawvideo -pix_fmt pal8")],
    "nv12.nut": [*_V, *_words("-c:v rawvideo -pix_fmt nv12")],
    "yuvj.avi": [*_V, *_words("-c:v mjpeg -pix_fmt yuvj420p")],
    "v210.mov": [*_V, *_words("-c:v v210 -pix_fmt yuv422p10le")],
    "alpha.mov": [*_V, *_words("-c:v prores_ks -pix_fmt yuva444p10le")],
    "rgb48.mov": [*_V, *_words("-c:v png -pix_fmt rgb48be")],
    "gray10.mkv": [*_V, *_words("-c:v ffv1 -pix_fmt gray10le")],
    "444 12.mkv": [*_V, *_words("-c:v ffv1 -pix_fmt yuv444p12le")],
    "moving.gif": [*_picture(rate="10")],
    # houses of film
    "op1a.mxf": [*_picture("128x96"), *_A, *_M2, *_words("-c:a pcm_s16le -timecode 10:00:00:00")],
    "jpeg2000.mxf": [*_V, *_A, *_words("-c:v libopenjpeg -pix_fmt yuv422p10le -c:a pcm_s24le")],
    "pal.dv": [*_picture("720x576", seconds="0.12"), *_tone("0.12"),
               *_words("-c:v dvvideo -pix_fmt yuv420p -c:a pcm_s16le -ac 2")],
    # kinds that once were refused, or lost something
    "xvid.avi": [*_V, *_words("-c:v libxvid -bf 2")],
    "repeats.ogv": [*_V, *_words("-c:v libtheora -pix_fmt yuv444p")],
    "odd crop.mkv": [*_V, *_264, "-bsf:v", "h264_metadata=crop_left=4:crop_top=2"],
    "rgb555.avi": [*_V, *_words("-c:v msvideo1")],
    "padding.nut": [*_V, *_words("-c:v rawvideo -pix_fmt ya16le")],
    "one pixel.mkv": [*_words("-f lavfi -i color=red:s=1x1:r=25:d=0.2 -c:v ffv1 -pix_fmt yuv444p")],
    "made at.mp4": [*_V, *_264, *_words("-movflags use_metadata_tags"),
                    "-metadata", "creation_time=1999-01-01T00:00:00Z", "-metadata", "foo=bär"],
    # codecs and containers of archives
    "dnxhd.mxf": [*_picture("1920x1080", seconds="0.08"), *_tone("0.08"),
                  *_words("-c:v dnxhd -b:v 120M -pix_fmt yuv422p -c:a pcm_s16le")],
    "opatom.mxf": [*_picture("1920x1080", seconds="0.08"),
                   *_words("-c:v dnxhd -b:v 120M -pix_fmt yuv422p -f mxf_opatom")],
    "avc intra.mxf": [*_picture("1920x1080", seconds="0.08"), *_tone("0.08"), "-c:v", "libx264",
                      *_words("-preset ultrafast -x264-params avcintra-class=100 -c:a pcm_s24le"),
                      *_words("-pix_fmt yuv422p10le")],
    "cineform.mov": [*_picture("128x64"), *_words("-c:v cfhd -pix_fmt gbrp12le")],
    "huffyuv.avi": [*_V, *_A, *_words("-c:v huffyuv -pix_fmt yuv422p -c:a pcm_s16le")],
    "gxf.gxf": [*_picture("720x576", seconds="0.12"), *_tone("0.12"),
                *_words("-c:v mpeg2video -pix_fmt yuv420p -c:a pcm_s16le -ac 1")],
    "real.rm": [*_picture("176x144"), *_A, *_words("-c:v rv10 -c:a ac3")],
    "flash.flv": [*_V, *_tone(rate=44100), *_words("-c:v flv -c:a libmp3lame -ar 44100")],
    "av1.mp4": [*_V, *_A, *_words("-c:v libaom-av1 -cpu-used 8 -c:a libopus")],
    "alpha.webm": [*_V, *_words("-c:v libvpx-vp9 -deadline realtime -pix_fmt yuva420p")],
    "sixteen channels.mov": [*_V, "-f", "lavfi", "-i", "anoisesrc=d=0.4,pan=16c|c0=c0|c15=c0",
                             *_words("-c:v prores_ks -c:a pcm_s24le")],
    "ts wrap.ts": [*_V, *_A, *_264, *_words("-c:a mp2 -output_ts_offset 95443.6")],
    "na'me \"q\" ü 東 [1].mkv": [*_V, *_A, *_264, "-c:a", "flac"],
}  # fmt: skip

_HELPERS = {
    "helper.srt": "1\n00:00:00,100 --> 00:00:00,200\nГрüße, 東京 <i>schräg</i>\n\n"
    "2\n00:00:00,250 --> 00:00:00,350\nعربي\n",
    "helper.txt": ";FFMETADATA1\ntitle=Kapitel; mit = Zeichen\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\n"
    "END=200\ntitle=Über\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=200\nEND=400\ntitle=zwei\n",
}


def make_kind(folder: Path, name: str) -> Path:
    """Make one of KINDS or MADE in `folder`; return its path."""
    for helper, text in _HELPERS.items():
        (folder / helper).write_text(text, encoding="utf-8")
    path = folder / name
    if name in MADE:
        MADE[name](folder, path)
    elif not path.exists():
        run_ffmpeg([*(a.replace("{folder}", str(folder)) for a in KINDS[name]), f"file:{path}"])
    return path


def _rotated(folder: Path, path: Path) -> None:
    plain = make_kind(folder, "sar.mp4")
    run_ffmpeg(["-display_rotation", "90", "-i", str(plain), "-c", "copy", str(path)])


def _mirrored(folder: Path, path: Path) -> None:
    plain = make_kind(folder, "sar.mp4")
    turned = ["-display_rotation", "180", "-display_hflip"]
    run_ffmpeg([*turned, "-i", str(plain), "-c", "copy", str(path)])


def _edited(folder: Path, path: Path) -> None:
    """An edit list hides frames at the beginning, and moves sound and subtitles with it."""
    plain = make_kind(folder, "mov_text.mp4")
    run_ffmpeg(["-ss", "0.21", "-i", str(plain), "-map", "0", "-c", "copy", str(path)])


def _captioned(folder: Path, path: Path) -> None:
    """MPEG-2 with ATSC A/53 captions in the user data of each picture (A/53 part 4, 6.2.3)."""
    plain = folder / "plain.m2v"
    run_ffmpeg([*_picture(rate="30000/1001"), *_M2, str(plain)])
    path.write_bytes(_with_user_data(plain.read_bytes(), _a53))


def _a53(number: int) -> bytes:
    letters = bytes((0xFC, 0x80 | (0x41 + number % 26), 0x20))
    return b"\x00\x00\x01\xb2GA94\x03" + bytes((0x41, 0xFF)) + letters + b"\xff"


def _with_user_data(stream: bytes, data: Callable[[int], bytes]) -> bytes:
    """Put user data before the first slice of each picture."""
    first, *pictures = stream.split(b"\x00\x00\x01\x00")
    out = [first]
    for number, picture in enumerate(pictures):
        slices = picture.index(b"\x00\x00\x01\x01")
        out.append(picture[:slices] + data(number) + picture[slices:])
    return b"\x00\x00\x01\x00".join(out)


def _soft_telecine(folder: Path, path: Path) -> None:
    """24 progressive frames a second, flagged to be shown as 30: bits of the picture coding extension."""
    plain = folder / "plain24.m2v"
    run_ffmpeg([*_picture("64x64", "24000/1001"), *_M2, *_words("-bf 0 -g 12"), str(plain)])
    first, *extensions = plain.read_bytes().split(b"\x00\x00\x01\xb5")
    out, pictures = [first], 0
    for extension in extensions:
        bits = bytearray(extension)
        if bits[0] >> 4 == 1:
            bits[1] &= 0xF7  # progressive_sequence = 0, else the flags mean something else
        elif bits[0] >> 4 == 8:
            top_first, repeat = ((1, 1), (0, 0), (0, 1), (1, 0))[pictures % 4]
            bits[3] = bits[3] & 0x7D | top_first << 7 | repeat << 1
            pictures += 1
        out.append(bytes(bits))
    path.write_bytes(b"\x00\x00\x01\xb5".join(out))


def _with_klv(folder: Path, path: Path) -> None:
    """An MPEG-TS whose second stream is private data (KLV, SMPTE 336M), written packet by packet."""
    plain = folder / "plain.ts"
    run_ffmpeg([*_V, *_M2, *_words("-muxrate 2M -f mpegts"), str(plain)])
    packets = [plain.read_bytes()[i : i + 188] for i in range(0, plain.stat().st_size, 188)]
    out = []
    for packet in packets:
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        out.append(_pmt_with_klv(packet) if pid == 0x1000 else packet)
        if pid == 0x1000:
            out.append(_klv_packet(len(out) & 15))
    path.write_bytes(b"".join(out))


def _pmt_with_klv(packet: bytes) -> bytes:
    begin = 5 + packet[4]
    length = (packet[begin + 1] & 0x0F) << 8 | packet[begin + 2]
    table = bytearray(packet[begin : begin + 3 + length - 4])
    table += bytes((0x06, 0xE1, 0x50, 0xF0, 0x06, 0x05, 0x04)) + b"KLVA"
    size = len(table) - 3 + 4
    table[1] = table[1] & 0xF0 | size >> 8
    table[2] = size & 0xFF
    whole = packet[:begin] + bytes(table) + struct.pack(">I", _crc(bytes(table)))
    return whole.ljust(188, b"\xff")


_seen = [0]


def _klv_packet(_number: int) -> bytes:
    """One private PES without a PTS."""
    _seen[0] += 1
    klv = (
        bytes.fromhex("060e2b34020b01010e01030101000000")
        + bytes((4,))
        + struct.pack(">I", _seen[0])
    )
    pes = b"\x00\x00\x01\xbd" + struct.pack(">H", len(klv) + 3) + b"\x80\x00\x00" + klv
    room = 184 - len(pes)
    field = bytes((room - 1, 0)) + b"\xff" * (room - 2)
    head = bytes((0x47, 0x41, 0x50, 0x30 | _seen[0] & 15))
    return head + field + pes


def _crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


MADE: dict[str, Callable[[Path, Path], None]] = {
    "rotated.mp4": _rotated,
    "mirrored.mov": _mirrored,
    "edit list.mp4": _edited,
    "captions.m2v": _captioned,
    "soft telecine.m2v": _soft_telecine,
    "klv.ts": _with_klv,
}
