"""Frames survive any cut of the stream, and what is no frame is called so."""

from __future__ import annotations

import json
import os
import threading
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxbench.errors import WorkerError
from onnxbench.worker import wire
from onnxbench.worker.wire import HEADER, MAGIC, Frame, FrameReader, write_frame

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(), JSON, max_size=4)
FRAMES = st.lists(st.tuples(DOCUMENTS, st.binary(max_size=200)), min_size=1, max_size=4)


def written(*frames: tuple[object, bytes]) -> bytes:
    """Return what `write_frame` puts on a pipe."""
    read_end, write_end = os.pipe()
    for document, blob in frames:
        write_frame(write_end, document, blob)  # type: ignore[arg-type]
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        return pipe.read()


def packed(text: bytes, blob: bytes = b"", checksum: int | None = None) -> bytes:
    body = text + blob
    crc = zlib.crc32(body) if checksum is None else checksum
    return HEADER.pack(MAGIC, len(text), len(blob), crc) + body


@given(frames=FRAMES, data=st.data())
def test_frames_come_back_whole_however_the_stream_is_cut(
    frames: list[tuple[dict[str, object], bytes]], data: st.DataObject
) -> None:
    stream = written(*frames)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
    reader = FrameReader()
    found: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert [(frame.document, frame.blob) for frame in found] == frames
    assert reader.pending_bytes == 0


def test_byte_by_byte() -> None:
    reader = FrameReader()
    found = [frame for byte in written(({"a": 1}, b"xyz")) for frame in reader.feed(bytes([byte]))]
    assert found == [Frame({"a": 1}, b"xyz")]


@settings(max_examples=300)
@given(st.binary(max_size=400) | st.binary(max_size=400).map(MAGIC.__add__))
def test_garbage_raises_worker_error_or_waits_for_more(garbage: bytes) -> None:
    reader = FrameReader()
    said = ""
    try:
        frames = list(reader.feed(garbage))
    except WorkerError as error:
        said, frames = error.message, []
    waits = garbage[:4] == MAGIC[: len(garbage)]
    assert "garbage on the result channel" in said or frames or waits
    assert said == "" or said.isprintable()


@settings(max_examples=300)
@given(text=st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode()))
def test_a_frame_of_any_text_is_an_object_or_garbage(text: bytes) -> None:
    try:
        (frame,) = FrameReader().feed(packed(text))
    except WorkerError:
        return
    assert isinstance(frame.document, dict)
    json.dumps(frame.document, allow_nan=False)


@given(document=DOCUMENTS, blob=st.binary(max_size=40), data=st.data())
def test_one_flipped_bit_is_never_taken_for_a_frame(
    document: dict[str, object], blob: bytes, data: st.DataObject
) -> None:
    stream = bytearray(written((document, blob)))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    reader = FrameReader()
    try:
        assert list(reader.feed(bytes(stream))) == []
    except WorkerError:
        return
    assert reader.pending_bytes, "a frame that grew longer is cut off when the child ends"


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"1", b"null", b'"x"', b"{", b'{"x": NaN}', b'{"x": -Infinity}', b'{"x": 1e999}',
     b'{"x": -1e400}', b"\xff", b'{"x": ' + b"[" * 100_000, b'{"x": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_what_json_cannot_say_is_garbage(text: bytes) -> None:
    with pytest.raises(WorkerError, match="garbage"):
        list(FrameReader().feed(packed(text)))


def test_a_wrong_checksum_is_garbage() -> None:
    with pytest.raises(WorkerError, match="checksum"):
        list(FrameReader().feed(packed(b"{}", b"samples", checksum=0)))


@pytest.mark.parametrize(
    ("json_bytes", "blob_bytes"),
    [(wire.MAX_JSON_BYTES + 1, 0), (0, wire.MAX_BLOB_BYTES + 1), (2**32 - 1, 2**64 - 1)],
)
def test_a_claim_beyond_reason_is_refused_before_it_is_waited_for(
    json_bytes: int, blob_bytes: int
) -> None:
    with pytest.raises(WorkerError, match="claims"):
        list(FrameReader().feed(HEADER.pack(MAGIC, json_bytes, blob_bytes, 0)))


def test_frames_before_garbage_are_still_told() -> None:
    reader = FrameReader()
    found: list[Frame] = []
    with pytest.raises(WorkerError):
        found.extend(reader.feed(packed(b'{"n": 1}') + b"garbage"))
    assert found == [Frame({"n": 1}, b"")]


def test_a_cut_off_frame_is_pending() -> None:
    reader = FrameReader()
    assert list(reader.feed(packed(b"{}", b"samples")[:-1])) == []
    assert reader.pending_bytes > 0


def test_a_frame_larger_than_the_pipe_is_written_whole() -> None:
    blob = os.urandom(1 << 20)
    read_end, write_end = os.pipe()
    writer = threading.Thread(target=write_frame, args=(write_end, {"big": True}, blob))
    writer.start()
    reader = FrameReader()
    frames: list[Frame] = []
    while not frames:
        frames += reader.feed(os.read(read_end, 1 << 16))
    writer.join()
    os.close(read_end)
    os.close(write_end)
    assert frames == [Frame({"big": True}, blob)]


def test_what_the_pipe_takes_in_part_is_written_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = bytearray()

    def write(_fd: int, data: memoryview) -> int:
        taken.extend(data[:7])
        return min(7, len(data))

    monkeypatch.setattr(os, "write", write)
    write_frame(-1, {"a": 1}, b"samples")
    assert list(FrameReader().feed(bytes(taken))) == [Frame({"a": 1}, b"samples")]


def test_numbers_that_json_lacks_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_frame(-1, {"x": float("nan")})
