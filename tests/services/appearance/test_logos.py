"""A logo is the picture and nothing else of the file; whatever is none, lies or moves is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.services.appearance.logos import MAX_BYTES, MAX_SIDE, read_logo
from tests.services.appearance.pictures import (
    SECRET,
    make_chunk,
    make_jpeg,
    make_png,
    make_riff,
    make_segment,
    make_webp,
)

GOOD = {
    "image/png": make_png(64, 32, make_chunk(b"tEXt", SECRET), make_chunk(b"eXIf", SECRET)) + SECRET,
    "image/jpeg": make_jpeg(64, 32, make_segment(0xE1, b"Exif\x00\x00" + SECRET), make_segment(0xFE, SECRET)) + SECRET,
    "image/webp": make_webp(64, 32, make_riff(b"EXIF", SECRET)) + SECRET,
}


@pytest.mark.parametrize("media_type", GOOD)
def test_logo__is_kept_without_what_stands_beside_the_picture(media_type: str) -> None:
    logo = read_logo(GOOD[media_type])
    assert (logo.media_type, logo.width, logo.height) == (media_type, 64, 32)
    assert SECRET not in logo.data
    assert read_logo(logo.data) == logo, "what is kept is read again as itself"


def test_logo__of_webp_loses_the_flags_of_what_is_left_out() -> None:
    head = make_riff(b"VP8X", bytes([0b0011_1100, 0, 0, 0]) + (63).to_bytes(3, "little") + (31).to_bytes(3, "little"))
    logo = read_logo(make_webp(64, 32, head, make_riff(b"XMP ", SECRET)))
    assert logo.data[20] == 0x10
    assert (logo.width, logo.height) == (64, 32)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"GIF89a" + b"\x00" * 50, b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        make_png(64, 32, make_chunk(b"acTL", b"\x00" * 8)), make_webp(64, 32, make_riff(b"ANIM", b"\x00" * 6)),
    ],
)  # fmt: skip
def test_logo__refused_wrong_media_type(data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_logo(data)
    assert refused.value.reason is Reason.WRONG_MEDIA_TYPE


@pytest.mark.parametrize("make", [make_png, make_jpeg, make_webp])
@pytest.mark.parametrize("size", [(15, 32), (64, MAX_SIDE + 1)])
def test_logo__refused_value_out_of_range(make: type, size: tuple[int, int]) -> None:
    with pytest.raises(Refused) as refused:
        read_logo(make(*size))
    assert refused.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_logo__refused_request_too_large() -> None:
    with pytest.raises(Refused) as refused:
        read_logo(make_png(64, 32, make_chunk(b"tEXt", b"x" * MAX_BYTES)))
    assert refused.value.reason is Reason.REQUEST_TOO_LARGE


@pytest.mark.parametrize("media_type", GOOD)
def test_logo__refused_unreadable_file__wherever_it_is_cut(media_type: str) -> None:
    whole = read_logo(GOOD[media_type]).data
    for end in range(12, len(whole)):
        with pytest.raises(Refused) as refused:
            read_logo(whole[:end])
        assert refused.value.reason in (Reason.UNREADABLE_FILE, Reason.WRONG_MEDIA_TYPE), end


@given(data=st.binary(max_size=300), start=st.sampled_from(["image/png", "image/jpeg", "image/webp"]))
def test_logo__any_bytes_are_a_picture_or_refused(data: bytes, start: str) -> None:
    for tried in (data, GOOD[start][:16] + data, GOOD[start][:60] + data):
        try:
            logo = read_logo(tried)
        except Refused:
            continue
        assert read_logo(logo.data) == logo


@given(at=st.integers(8, 200), bit=st.integers(0, 7))
def test_logo__a_png_with_a_flipped_bit_is_refused(at: int, bit: int) -> None:
    data = bytearray(read_logo(GOOD["image/png"]).data)
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(Refused):
        read_logo(bytes(data))
