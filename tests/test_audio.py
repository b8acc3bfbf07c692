"""Audio files become mono signals, or one line that says why not."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import wave

import audio_files
import numpy as np
import pytest
import soundfile
from audio_files import make, sound, write

from kinet.audio import SUFFIXES, AudioError, coded, lossless, read_audio, read_chunks
from kinet.errors import SettingsError

RATE = 44100
EVERY = (
    *("wav", "flac", "aiff", "au", "caf", "rf64", "ogg", "opus", "mp3", "m4a", "aac", "ac3"),
    *("mka", "mp4", "mov", "mkv", "webm", "avi"),
)
# Samples that an encoder puts in front and that its format has no place to tell.
DELAYS = {"aac": 1024, "ac3": 256, "avi": 1105}
WHOLE = "need a whole file"
NEED = "need wav, flac, ogg, opus, mp3, m4a, aac or a video with sound"


def refused(path, **settings):
    """The one line, without the path."""
    with pytest.raises(AudioError) as caught:
        read_audio(path, **settings)
    assert str(caught.value) == f"{path}: {caught.value.message}"
    assert caught.value.message.isprintable()
    return caught.value.message


def changed(path, position, data):
    """The file with other bytes at a position."""
    content = bytearray(path.read_bytes())
    content[position : position + len(data)] = data
    path.write_bytes(content)
    return path


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    return path


# --- what comes out --------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", EVERY)
def test_every_format_gives_the_sound_that_went_in(tmp_path, suffix):
    signal = read_audio(make(tmp_path / f"a.{suffix}", 2.0, channels=2))
    delay = DELAYS.get(suffix, 0)
    assert signal.dtype == np.float32
    assert 0 <= len(signal) - delay - 2 * RATE <= 1600  # the padding of the last frame
    expected = sound(2.0, channels=2).mean(axis=1)
    got = signal[delay : delay + 2 * RATE]
    assert np.corrcoef(got, expected)[0, 1] > 0.995
    assert np.std(got) == pytest.approx(np.std(expected), rel=0.05)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "m4a", "opus", "mkv"])
def test_blocks_are_what_the_whole_is(tmp_path, suffix):
    path = make(tmp_path / f"a.{suffix}", 3.0, channels=2)
    chunks = list(read_chunks(path))
    assert len(chunks) > 1
    assert all(chunk.ndim == 1 and 0 < len(chunk) <= 2**18 for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks), read_audio(path))


@pytest.mark.parametrize("rate", [22050, RATE])
@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_samples_do_not_depend_on_the_size_of_pieces(tmp_path, monkeypatch, suffix, rate):
    path = make(tmp_path / f"a.{suffix}", 1.0, rate=rate, channels=2)
    whole = read_audio(path)
    monkeypatch.setattr(lossless, "CHUNK", 100)
    monkeypatch.setattr(coded, "CHUNK", 1)
    chunks = list(read_chunks(path))
    assert len(chunks) > 20
    assert all(map(len, chunks))
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


def test_a_signal_at_the_rate_passes_untouched(tmp_path, rng):
    signal = rng.normal(size=(100_000, 1)).astype(np.float32)  # beyond -1 to 1 as well
    path = write(tmp_path / "a.wav", signal, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path), signal[:, 0])


@pytest.mark.parametrize(
    ("suffix", "subtype", "step"),
    [
        ("wav", "PCM_U8", 2**-7), ("wav", "PCM_16", 2**-15), ("wav", "PCM_24", 2**-23),
        ("wav", "PCM_32", 2**-24), ("wav", "FLOAT", 0), ("wav", "DOUBLE", 0),
        ("wav", "ULAW", 2**-5), ("aiff", "PCM_16", 2**-15), ("aiff", "PCM_24", 2**-23),
        ("aiff", "FLOAT", 0), ("flac", "PCM_16", 2**-15), ("flac", "PCM_24", 2**-23),
        ("caf", "PCM_24", 2**-23), ("au", "FLOAT", 0),
    ],
)  # fmt: skip
def test_every_sample_format_has_full_scale_1(tmp_path, suffix, subtype, step):
    signal = np.linspace(-0.99, 0.99, 5000, dtype=np.float32)[:, None]
    got = read_audio(write(tmp_path / f"a.{suffix}", signal, subtype=subtype))
    np.testing.assert_allclose(got, signal[:, 0], rtol=0, atol=step)


@pytest.mark.parametrize(
    ("codec", "dtype", "values"),
    [("u8", "u1", [0, 128, 192]), ("s16le", "<i2", [-(2**15), 0, 2**14]),
     ("s32le", "<i4", [-(2**31), 0, 2**30]), ("f64le", "<f8", [-1.0, 0.0, 0.5])],
)  # fmt: skip
def test_sample_formats_in_a_film_have_full_scale_1(tmp_path, codec, dtype, values):
    import av

    name = {"u1": "u8", "<i2": "s16", "<i4": "s32", "<f8": "dbl"}[dtype]
    samples = np.repeat(np.array(values, dtype), 2)[None]  # stereo, packed
    with av.open(str(tmp_path / "a.mka"), "w") as container:
        stream = container.add_stream(f"pcm_{codec}", rate=RATE)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(samples, format=name, layout="stereo")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_array_equal(read_audio(tmp_path / "a.mka"), [-1.0, 0.0, 0.5])


def test_mono_is_the_mean_of_the_channels(tmp_path):
    signal = np.array([[0.5, 0.25, 0.0], [1.0, -1.0, 0.75]])
    path = write(tmp_path / "a.wav", signal, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path), np.float32([0.25, 0.25]))


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
@pytest.mark.parametrize("suffix", ["wav", "flac", "m4a"])
def test_mono_to_seven_one(tmp_path, suffix, channels):
    path = make(tmp_path / f"a.{suffix}", 0.5, channels=channels)
    expected = sound(0.5, channels=channels).mean(axis=1)
    got = read_audio(path)[: len(expected)]
    # AAC keeps of the low-frequency channel, one of six or eight here, the lowest only.
    assert np.corrcoef(got, expected)[0, 1] > (0.94 if suffix == "m4a" else 0.9999)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 48000, 96000, 192000])
def test_any_rate_becomes_the_wanted_one(tmp_path, rate):
    time = np.arange(rate) / rate
    path = write(tmp_path / "a.wav", np.sin(2 * np.pi * 1000 * time)[:, None] / 2, rate)
    got = read_audio(path)
    assert len(got) == RATE
    expected = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE) / 2
    inner = slice(2000, -2000)
    np.testing.assert_allclose(got[inner], expected[inner], atol=2e-4)


def test_another_rate_can_be_wanted(tmp_path):
    path = make(tmp_path / "a.flac", 1.0)
    assert len(read_audio(path, 16000)) == 16000


@pytest.mark.parametrize("wanted", [0, -1, 3999, 768_001])
def test_a_rate_that_cannot_be_wanted(tmp_path, wanted):
    with pytest.raises(SettingsError) as caught:
        read_audio(make(tmp_path / "a.wav"), wanted)
    assert str(caught.value) == f"sample rate {wanted} Hz asked for; allowed: 4000 to 768000 Hz"


@pytest.mark.parametrize("kind", ["silence", "dc", "clipped"])
@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a"])
def test_dull_and_clipped_signals_decode(tmp_path, suffix, kind):
    got = read_audio(make(tmp_path / f"a.{suffix}", 0.5, kind=kind))
    level = {"silence": 0.0, "dc": 0.25}.get(kind)
    if level is not None:
        np.testing.assert_allclose(got[2000:20000], level, atol=0.1)
    else:
        assert np.abs(got).max() >= 0.99


@pytest.mark.parametrize(("rate", "samples"), [(RATE, 1), (22050, 2)])
def test_one_sample_is_a_signal(tmp_path, rate, samples):
    path = write(tmp_path / "a.wav", np.full((1, 1), 0.5), rate)
    assert len(read_audio(path)) == samples


@pytest.mark.parametrize(
    ("suffix", "name"), [("mp3", "a.wav"), ("wav", "a.mp3"), ("m4a", "a.flac"), ("ogg", "a")]
)
def test_the_content_decides_not_the_suffix(tmp_path, suffix, name):
    path = make(tmp_path / f"right.{suffix}", 1.0)
    expected = read_audio(path)
    np.testing.assert_array_equal(read_audio(path.rename(tmp_path / name)), expected)


def test_suffixes_are_lower_case_and_hold_what_can_be_made():
    assert {f".{suffix}" for suffix in (*EVERY, "wma")} - SUFFIXES == {".rf64"}
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in SUFFIXES)


@pytest.mark.parametrize("name", ["concat:a", "http:a.mp3", "%03d.mp3", "é \n.mp3", b"\xff.mp3"])
@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_a_name_is_nothing_but_a_name(tmp_path, monkeypatch, suffix, name):
    monkeypatch.chdir(tmp_path)
    path = os.fsdecode(name)
    try:
        make(tmp_path / f"a.{suffix}").rename(path)
    except OSError:
        pytest.skip("a file cannot have this name here")
    assert len(read_audio(path)) == RATE


def test_tags_in_another_encoding_do_not_matter(tmp_path):
    path = make(tmp_path / "a.mkv", 0.2)
    write(tmp_path / "b.mkv", sound(0.2), metadata="x")
    content = path.read_bytes()
    assert b"Lavf" in content
    path.write_bytes(content.replace(b"Lavf", b"L\xff\xfef"))
    assert len(read_audio(path)) == pytest.approx(0.2 * RATE, abs=1600)


# --- mp3 -------------------------------------------------------------------------------------


def mp3(tmp_path, seconds=4.0):
    return make(tmp_path / "a.mp3", seconds, channels=2).read_bytes()


def without_header(content):
    """All frames but the first, which says how many follow; the encoder's delay is not told."""
    return content[content.find(content[:2], 4) :]


def test_an_mp3_without_a_header_is_read_to_its_end(tmp_path):
    (tmp_path / "a.mp3").write_bytes(without_header(mp3(tmp_path)))
    # 155 frames of 1152, of which LAME needs 1105 samples before it begins.
    assert len(read_audio(tmp_path / "a.mp3")) == 155 * 1152


@pytest.mark.parametrize(
    "tail", [b"TAG" + bytes(125), b"LYRICSBEGIN" + b"la " * 200, bytes(5000)], ids=len
)
def test_tags_and_zeros_after_an_mp3_are_no_sound(tmp_path, tail):
    (tmp_path / "a.mp3").write_bytes(mp3(tmp_path) + tail)
    assert 4 * RATE <= len(read_audio(tmp_path / "a.mp3")) <= 4 * RATE + 1152


def test_tags_before_an_mp3_do_not_hide_its_length(tmp_path):
    tag = b"ID3\x03\x00\x00" + bytes([0, 0, 16, 0]) + bytes(2048)
    content = mp3(tmp_path)
    (tmp_path / "a.mp3").write_bytes(tag * 2 + content)
    assert len(read_audio(tmp_path / "a.mp3")) == 4 * RATE
    (tmp_path / "a.mp3").write_bytes(tag * 2 + content[: len(content) // 2])
    # 154 frames of 1152 samples and the one of the header are declared.
    assert refused(tmp_path / "a.mp3").endswith(f" s of 4.05 s; {WHOLE}")


@pytest.mark.parametrize("head", [b"RIFF", b"FORM"])
def test_an_mp3_with_a_foreign_head_stays_an_mp3(tmp_path, head, capfd):
    path = changed(make(tmp_path / "a.mp3", 1.0), 0, head + bytes(32))
    assert len(read_audio(path)) == pytest.approx(RATE, abs=3000)
    assert capfd.readouterr().err == ""


def test_mp3_in_a_wav(tmp_path, rng, capfd):
    import av

    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("libmp3lame", rate=RATE)
        stream.layout = "mono"
        for start in range(0, RATE, 1152):
            part = np.ascontiguousarray(sound(1.0)[start : start + 1152].T)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    # 39 frames hold a second, one more what the encoder puts in front.
    assert len(read_audio(tmp_path / "a.wav")) == 40 * 1152
    middle = (tmp_path / "a.wav").stat().st_size // 2
    refused(changed(tmp_path / "a.wav", middle, rng.bytes(3000)))
    assert capfd.readouterr().err == ""


# --- streams that change or follow each other ------------------------------------------------


def test_streams_of_ogg_one_after_another_are_all_read(tmp_path):
    content = make(tmp_path / "a.ogg", 2.0).read_bytes()
    (tmp_path / "a.ogg").write_bytes(content * 2)
    assert len(read_audio(tmp_path / "a.ogg")) == pytest.approx(4 * RATE, abs=1024)


def test_rate_and_channels_may_change_in_the_middle(tmp_path):
    kinds = [(22050, 2), (48000, 1), (RATE, 2)]
    parts = [make(tmp_path / f"{r}.aac", 1.0, rate=r, channels=c).read_bytes() for r, c in kinds]
    (tmp_path / "a.aac").write_bytes(b"".join(parts))
    got = read_audio(tmp_path / "a.aac")
    assert len(got) == pytest.approx(3 * RATE, abs=3 * 4096)
    for second in range(3):  # the same sound each time, a little later for the delays
        start = round(second * 1.06 * RATE) + 4096
        spectrum = np.abs(np.fft.rfft(got[start : start + 8192]))
        loudest = np.argmax(spectrum) * RATE / 8192
        assert min(abs(loudest - pitch) for pitch in (220, 275, 330)) < 6


# --- what is refused -------------------------------------------------------------------------


def test_no_such_file(tmp_path):
    assert refused(tmp_path / "a.mp3") == "no such file; need an audio file"


def test_a_folder(tmp_path):
    assert refused(tmp_path) == "a folder; need an audio file"


def test_an_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    assert refused(tmp_path / "a.wav") == "an empty file; need sound"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    assert refused(tmp_path / "a.wav") == "not a regular file; need an audio file"


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = make(tmp_path / "a.wav")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read all
        monkeypatch.setattr("builtins.open", denied)
    message = refused(path)
    monkeypatch.undo()
    assert message == "cannot be read (Permission denied); need an audio file"


def denied(path, *_):
    raise PermissionError(13, "Permission denied", str(path))


def test_a_path_through_a_file(tmp_path):
    path = make(tmp_path / "a.wav") / "b.wav"
    assert refused(path) == "cannot be read (Not a directory); need an audio file"


def test_a_name_with_a_null_character():
    with pytest.raises(AudioError, match=r"cannot be read \(embedded null"):
        read_audio("a\0.wav")


@pytest.mark.parametrize("text", [b"\n", b"no music at all\n" * 500, b"<html>" + b" " * 9000])
@pytest.mark.parametrize("suffix", ["mp3", "wav", "m4a"])
def test_text_is_no_audio(tmp_path, suffix, text):
    (tmp_path / f"a.{suffix}").write_bytes(text)
    message = refused(tmp_path / f"a.{suffix}")
    assert message.startswith("no audio in a known format (")
    assert message.endswith(f"); {NEED}")


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\n{}\n", "ffconcat version 1.0\nfile {}\n"])
def test_a_list_of_files_opens_none_of_them(tmp_path, text):
    make(tmp_path / "b.wav")
    (tmp_path / "a.mp3").write_text(text.format("b.wav"))
    assert refused(tmp_path / "a.mp3").startswith("no audio in a known format (")


def test_a_video_without_sound(tmp_path):
    path = audio_files.video_without_sound(tmp_path / "a.mp4")
    assert refused(path) == f"no sound in it (streams: video); {NEED}"


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_no_samples(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", np.zeros((0, 1)))
    message = refused(path)
    assert message == "no samples in it; need sound"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (RATE, 2), (22050, 1)])
def test_values_that_are_not_finite(tmp_path, rate, channels, value):
    signal = sound(2.0, rate, channels)
    signal[round(1.5 * rate), -1] = value
    path = write(tmp_path / "a.wav", signal, rate, subtype="FLOAT")
    message = refused(path)
    assert message.startswith("NaN or infinity at 1.")
    assert message.endswith(" s; need finite samples")
    seconds = float(message.split()[4])
    assert seconds == pytest.approx(1.5, abs=0.05)  # the filter of the resampler is as long


@pytest.mark.parametrize(("subtype", "value"), [("FLOAT", 3e38), ("DOUBLE", 1e300)])
def test_values_too_large_for_float32_are_infinite(tmp_path, subtype, value):
    path = write(tmp_path / "a.wav", np.full((100, 2), value), subtype=subtype)
    assert refused(path) == "NaN or infinity at 0.00 s; need finite samples"


@pytest.mark.parametrize("rate", [0, 1, 3999, 768_001, 2**32 - 1])
def test_an_absurd_rate_is_refused(tmp_path, rate):
    path = changed(make(tmp_path / "a.wav"), 24, rate.to_bytes(4, "little"))
    message = refused(path)
    if rate in (0, 2**32 - 1):  # libsndfile and FFmpeg do not even open these
        assert message.startswith(("no audio in a known format (", "sample rate "))
    else:
        assert message == f"sample rate {rate} Hz; allowed: 4000 to 768000 Hz"


@pytest.mark.parametrize("channels", [0, 65, 1024, 65535])
def test_an_absurd_number_of_channels_is_refused(tmp_path, channels):
    path = changed(make(tmp_path / "a.wav"), 22, channels.to_bytes(2, "little"))
    message = refused(path)
    if channels in (65, 1024):
        assert message == f"{channels} channels; allowed: 1 to 64"
    else:  # libsndfile and FFmpeg do not even begin with these
        assert message == f"sound that cannot be decoded (Invalid argument); {NEED}"


def test_a_file_that_gives_no_sound_is_not_read_for_ever(tmp_path):
    path = changed(make(tmp_path / "a.wav"), 22, bytes(2))  # no channels
    changed(path, 40, (10**8).to_bytes(4, "little"))
    os.truncate(path, 10**8 + 44)
    assert refused(path) == f"1000 packets without sound (Invalid argument); {NEED}"


def test_a_place_that_cannot_be_is_answered_not_raised(tmp_path):
    with open(make(tmp_path / "a.wav"), "rb") as file:
        assert coded._File(file).seek(-5) == -1
        assert coded._File(file).seek(7) == 7


def test_samples_of_an_unknown_format(tmp_path, monkeypatch):
    path = make(tmp_path / "a.mp3")
    monkeypatch.delitem(coded._SCALE, "flt")
    assert refused(path) == f"samples of the format fltp; {NEED}"


def test_sound_that_cannot_be_converted(tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("no such layout")

    path = make(tmp_path / "a.m4a", 0.2, channels=8)
    monkeypatch.setattr(coded._Arrays, "_packed", fail)
    assert refused(path) == f"sound that cannot be converted (no such layout); {NEED}"


def test_a_disk_that_fails(tmp_path, monkeypatch):
    class Failing(io.FileIO):
        broken = False

        def read(self, size=-1):
            if self.broken:
                raise OSError(5, "Input/output error")
            return super().read(size)

    path = make(tmp_path / "a.mp3", 8.0)
    monkeypatch.setattr(coded, "_READ", 4096)
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", lambda path, mode: Failing(path))
        chunks = read_chunks(path)
        next(chunks)
        Failing.broken = True
        with pytest.raises(
            AudioError, match=r"damaged after [1-3]\...? s \(Input/output error\); "
        ):
            list(chunks)


# --- files that end too early ----------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "rf64", "aiff", "au", "caf", "flac", "mp3", "mkv"])
def test_a_file_that_ends_before_its_length_is_refused(tmp_path, suffix):
    message = refused(cut(make(tmp_path / f"a.{suffix}", 4.0)))
    start, rest = message.split(" s of ")
    assert start.startswith("cut off or damaged: holds ")
    assert 1.3 < float(start.split()[-1]) < 2.1  # flac and mkv in pieces of half a second
    assert rest in [f"{length} s; {WHOLE}" for length in ("4.00", "4.02", "4.03", "4.05")]


def test_an_mp4_with_its_index_first_is_refused_when_it_ends_early(tmp_path):
    path = cut(write(tmp_path / "a.m4a", sound(4.0), movflags="faststart"))
    message = refused(path)
    assert message.startswith("cut off or damaged: holds 1.")
    assert message.endswith(f" s of 4.00 s; {WHOLE}")


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_film_may_go_on_after_its_sound(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", sound(1.0), picture=4.0)
    assert len(read_audio(path)) == pytest.approx(RATE, abs=1600)


@pytest.mark.parametrize("suffix", ["m4a", "mp4", "mov"])
def test_an_mp4_with_its_index_last_is_refused_when_it_is_cut(tmp_path, suffix):
    message = refused(cut(make(tmp_path / f"a.{suffix}", 1.0)))
    assert message == f"cut off or damaged: an mp4 without its index; {WHOLE}"


@pytest.mark.parametrize("share", [0.5, 0.999])
@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_an_ogg_without_the_mark_of_its_end_is_refused(tmp_path, suffix, share):
    message = refused(cut(make(tmp_path / f"a.{suffix}", 4.0), share))
    assert message.startswith("cut off in the page at byte ")
    assert message.endswith(f" s decoded; {WHOLE}")


def pages_of(content):
    """The pages of an Ogg file, each with its header."""
    pages = []
    while content:
        assert content[:4] == b"OggS"
        end = 27 + content[26] + sum(content[27 : 27 + content[26]])
        pages.append(content[:end])
        content = content[end:]
    return pages


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_an_ogg_of_which_any_page_is_damaged_or_missing_is_refused(tmp_path, rng, suffix):
    path = make(tmp_path / f"a.{suffix}", 6.0)
    pages = pages_of(path.read_bytes())
    assert len(pages) >= 4
    for place, page in enumerate(pages):
        others = [*pages[:place], *pages[place + 1 :]]
        path.write_bytes(b"".join(others))
        refused(path)
        flipped = bytearray(page)
        flipped[int(rng.integers(len(page)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(b"".join([*pages[:place], bytes(flipped), *pages[place + 1 :]]))
        refused(path)
    path.write_bytes(b"".join([*pages[:2], pages[2], *pages[2:]]))  # a page twice
    assert "pages are missing before byte" in refused(path)
    path.write_bytes(b"".join(pages[:-1]))
    assert refused(path).startswith("cut off: no mark of the end, ")
    path.write_bytes(b"".join(pages))
    assert len(read_audio(path)) == pytest.approx(6 * RATE, rel=0.01)


@pytest.mark.parametrize("tail", [bytes(1000), b"TAG" + bytes(125)])
def test_what_comes_after_the_last_page_of_an_ogg_does_not_matter(tmp_path, tail):
    path = make(tmp_path / "a.ogg", 1.0)
    held = len(read_audio(path))
    path.write_bytes(path.read_bytes() + tail)
    assert len(read_audio(path)) == held


def wav(*chunks):
    body = b"WAVE" + b"".join(name + struct.pack("<I", size) + data for name, size, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


FORM = b"fmt ", 16, struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
SOUND = b"data", 4000, bytes(range(200)) * 20


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_wav_with_a_list_of_2_gigabytes_is_refused_undecoded(tmp_path, monkeypatch, place):
    chunks = [FORM, SOUND]
    chunks.insert(place, (b"LIST", 2**31 - 1, b"INFOINAM"))
    (tmp_path / "a.wav").write_bytes(wav(*chunks))
    # libsndfile would make room for all of it.
    monkeypatch.setattr(lossless, "opened", None)
    assert refused(tmp_path / "a.wav").startswith("damaged: a list of 2147483647 bytes, ")


def test_a_wav_with_a_list_that_no_titles_fill_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(FORM, (b"LIST", 2**24 + 2, b"INFO" + bytes(2**24 - 2)), SOUND))
    assert refused(path).startswith("damaged: a list of 16777218 bytes, ")
    path.write_bytes(wav(FORM, (b"LIST", 26, b"INFOINAM\x0e\0\0\0a title of it\0"), SOUND))
    assert len(read_audio(path)) == 2000


@pytest.mark.parametrize("size", [2**63 - 20, 2**63, 2**64 - 1])
def test_a_head_that_points_past_all_files_is_no_end_of_the_sound(tmp_path, size):
    path = make(tmp_path / "a.mp3", 2.0)
    head = b"caff\0\1\0\0free" + struct.pack(">Q", size)
    path.write_bytes(head + path.read_bytes())
    assert len(read_audio(path)) == pytest.approx(2 * RATE, abs=4000)


@pytest.mark.parametrize("suffix", ["aac", "ac3"])
def test_a_stream_without_a_length_gives_what_is_there(tmp_path, suffix):
    path = cut(make(tmp_path / f"a.{suffix}", 4.0))
    assert len(read_audio(path)) == pytest.approx(2 * RATE, rel=0.05)


@pytest.mark.parametrize("size", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_wav_from_a_pipe_has_no_length_to_fall_short_of(tmp_path, size):
    path = write(tmp_path / "a.wav", sound(1.0))
    changed(path, 4, size.to_bytes(4, "little"))
    changed(path, 40, size.to_bytes(4, "little"))
    assert len(read_audio(path)) == RATE


def test_a_few_samples_less_are_no_cut(tmp_path):
    path = write(tmp_path / "a.wav", sound(1.0))
    path.write_bytes(path.read_bytes()[:-100])
    assert len(read_audio(path)) == RATE - 50


def test_the_chunks_of_a_wav_may_come_in_any_order(tmp_path):
    content = write(tmp_path / "a.wav", sound(2.0)).read_bytes()
    other = b"LIST" + (3).to_bytes(4, "little") + b"abc\0"  # padded to an even size
    (tmp_path / "a.wav").write_bytes(content[:36] + other + content[36:] + other)
    assert len(read_audio(tmp_path / "a.wav")) == 2 * RATE
    (tmp_path / "a.wav").write_bytes((content[:36] + other + content[36:])[: -2 * RATE])
    message = refused(tmp_path / "a.wav")
    assert message == f"cut off or damaged: holds 1.00 s of 2.00 s; {WHOLE}"


@pytest.mark.parametrize("suffix", ["mp3", "aac", "m4a"])
def test_damage_in_the_middle_is_refused(tmp_path, suffix, rng, capfd):
    path = make(tmp_path / f"a.{suffix}", 4.0)
    middle = path.stat().st_size // 2
    message = refused(changed(path, middle, rng.bytes(3000)))
    assert message.startswith("damaged after 1.") or message.startswith("damaged after 2.")
    assert message.endswith(f"(Invalid data found when processing input); {WHOLE}")
    assert capfd.readouterr().err == ""


def test_damage_in_a_flac_is_refused(tmp_path, rng):
    path = make(tmp_path / "a.flac", 4.0)
    message = refused(changed(path, path.stat().st_size // 2, rng.bytes(3000)))
    assert message.startswith("cut off or damaged: holds ")
    assert message.endswith(f" s of 4.00 s; {WHOLE}")


def test_damage_that_a_flac_without_a_length_has(tmp_path, rng):
    path = make(tmp_path / "a.flac", 4.0)
    total = path.read_bytes()[21:26]  # 4 bits of the sample format, then 36 of the length
    changed(path, 21, bytes([total[0] & 0xF0, 0, 0, 0, 0]))
    assert len(read_audio(path)) == 4 * RATE
    message = refused(changed(path, path.stat().st_size // 2, rng.bytes(3000)))
    assert message.startswith("damaged after ")


# --- resources -------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files")
@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_the_file_is_closed_when_the_iterator_is(tmp_path, suffix):
    path = make(tmp_path / f"a.{suffix}", 3.0)
    before = len(os.listdir("/proc/self/fd"))
    chunks = read_chunks(path)
    next(chunks)
    assert len(os.listdir("/proc/self/fd")) > before
    chunks.close()
    assert len(os.listdir("/proc/self/fd")) == before
    read_audio(path)
    with pytest.raises(AudioError):
        read_audio(cut(path))
    assert len(os.listdir("/proc/self/fd")) == before


MEASURE = """
import resource, sys
from kinet.audio import read_chunks
peaks = []
for path in sys.argv[1:]:
    for chunk in read_chunks(path):
        pass
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sys.stdout.write(" ".join(map(str, peaks)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes of resident memory")
def test_memory_does_not_grow_with_the_length(tmp_path):
    """After a minute of each kind, twenty more of wav and ten of mp3, in MB."""
    minutes = {"short": 1, "long": 20}
    for name, count in minutes.items():
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setparams((2, 2, RATE, 60 * RATE * count, "NONE", ""))
            file.writeframesraw(b"")
        os.truncate(tmp_path / f"{name}.wav", 44 + 4 * 60 * RATE * count)
        changed_sizes(tmp_path / f"{name}.wav", 4 * 60 * RATE * count)
    frames = without_header(mp3(tmp_path))
    (tmp_path / "short.mp3").write_bytes(frames * 3)
    (tmp_path / "long.mp3").write_bytes(frames * 150)
    names = ["short.wav", "short.mp3", "long.wav", "long.mp3"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *names],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    peaks = [int(peak) for peak in done.stdout.split()]
    assert peaks[3] - peaks[1] < 15, peaks


def changed_sizes(path, size):
    with open(path, "r+b") as file:
        file.seek(4)
        file.write((size + 36).to_bytes(4, "little"))
        file.seek(40)
        file.write(size.to_bytes(4, "little"))


def test_ffmpeg_is_loaded_when_it_is_needed():
    code = (
        "import kinet.audio, sys; assert not {'av', 'keras', 'kinet.audio.coded'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_error_crosses_to_another_process():
    error = pickle.loads(pickle.dumps(AudioError("a.mp3", "an empty file; need sound")))  # noqa: S301
    assert (error.path, error.message) == ("a.mp3", "an empty file; need sound")
    assert str(error) == "a.mp3: an empty file; need sound"


def test_the_sound_files_of_the_tests_are_what_they_say(tmp_path):
    for suffix, kind in {"flac": "FLAC", "mp3": "MP3", "ogg": "OGG"}.items():
        information = soundfile.info(make(tmp_path / f"a.{suffix}", 1.0, channels=2))
        assert (information.format, information.channels) == (kind, 2)
        assert information.frames == RATE
