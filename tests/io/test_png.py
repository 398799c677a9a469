from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.io import Volume, list_pictures, read_volume, write_volume

GREY = np.random.default_rng(0).integers(0, 256, (5, 7), dtype=np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_picture_is_a_slice_seen_from_the_feet(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    volume = read_volume(tmp_path / "a.png", modality="mr")
    assert volume.shape == (7, 5, 1)
    assert volume.values[6, 4, 0] == GREY[4, 6]
    assert np.array_equal(volume.affine, np.diag([-1, -1, 1, 1]))
    assert volume.meta.modality == "mr"
    assert (volume.meta.levels, volume.meta.warnings) == (255, ())


def test_written_pictures_have_the_size_of_their_source_and_rounded_clipped_greys(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    source = read_volume(tmp_path / "a.png")
    write_volume(source.with_values(source.values * 2 - 30.4), tmp_path / "b.png", like=source)
    expected = np.rint(GREY.astype(float) * 2 - 30.4).clip(0, 255)
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), expected)


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.dat", "PNG")])
def test_the_suffix_tells_jpeg_from_png(
    tmp_path: Path, make_volume: Callable[..., Volume], name: str, kind: str
) -> None:
    write_volume(make_volume(shape=(8, 6, 1)), tmp_path / name, format="png")
    with Image.open(tmp_path / name) as picture:
        assert (picture.format, picture.size) == (kind, (8, 6))


def test_sixteen_bits_keep_their_levels(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    volume = read_volume(tmp_path / "deep.png")
    assert volume.meta.levels == 65535
    assert np.array_equal(volume.values[:, :, 0].T, deep)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "CMYK"])
def test_a_grey_picture_in_another_mode_keeps_its_values(tmp_path: Path, mode: str) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    smooth = np.tile(np.arange(0, 128, 2, dtype=np.uint8), (64, 1))
    Image.fromarray(smooth).convert(mode).save(tmp_path / f"a.{suffix}", quality=100)
    volume = read_volume(tmp_path / f"a.{suffix}")
    tolerance = 3 if suffix == "jpg" else 0
    assert np.abs(volume.values[:, :, 0].T - smooth).max() <= tolerance
    assert not any("colour" in warning for warning in volume.meta.warnings) or suffix == "jpg"


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GREY > 128).save(tmp_path / "a.png")
    assert np.array_equal(read_volume(tmp_path / "a.png").values[:, :, 0].T, (GREY > 128) * 255.0)


def test_colour_becomes_luminance_and_is_said(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (200, 0, 0)).save(tmp_path / "red.png")
    volume = read_volume(tmp_path / "red.png")
    # ITU-R BT.601: Y = 0.299 R + 0.587 G + 0.114 B.
    assert float(volume.values.max()) == round(0.299 * 200)
    assert "200 of 255" in volume.meta.warnings[0]


def test_an_exif_rotation_is_carried_out_and_said(tmp_path: Path) -> None:
    picture = Image.fromarray(GREY)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    volume = read_volume(tmp_path / "turned.png")
    assert np.array_equal(volume.values[:, :, 0].T, np.rot90(GREY, -1))
    assert "EXIF" in volume.meta.warnings[0]


def test_the_format_is_told_by_content_and_pictures_are_listed_in_natural_order(tmp_path: Path) -> None:
    for name in ("slice10.png", "slice2.jpg", ".hidden.png", "deeper/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(GREY).save(tmp_path / name)
    (tmp_path / "slice2.jpg").rename(tmp_path / "slice2.png")
    (tmp_path / "text.png").write_text("not a picture")
    assert [path.name for path in list_pictures(tmp_path)] == ["slice2.png", "slice10.png"]
    assert read_volume(tmp_path / "slice2.png").shape == (7, 5, 1)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a.{suffix}")
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(Unreadable, match=rf"a.{suffix}: damaged"):
        read_volume(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("side", [8_200, 10_000, 100_000])
def test_a_decompression_bomb_is_refused_from_its_header(tmp_path: Path, side: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    with pytest.raises(Unreadable, match="bound"):
        read_volume(tmp_path / "bomb.png")


def test_several_slices_are_no_picture(tmp_path: Path, make_volume: Callable[..., Volume]) -> None:
    with pytest.raises(GeometryRefused, match="5"):
        write_volume(make_volume(), tmp_path / "a.png")
    assert not any(tmp_path.iterdir())


def test_a_picture_of_another_size_than_its_source_is_refused(
    tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    with pytest.raises(GeometryRefused, match="8 x 6 pixels in 1 slices, but its source has 6 x 8 x 1"):
        write_volume(make_volume(shape=(8, 6, 1)), tmp_path / "a.png", like=make_volume(shape=(6, 8, 1)))
