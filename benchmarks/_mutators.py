"""Mutations that know the structure of what they change; digests are repaired afterwards.

Each function takes a random generator and something sound, and gives a damaged copy. Nothing of it
is stored.
"""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import numpy as np

from edgeemo.artifacts.card import Card

INTEGERS = (0, 1, -1, 2, 3, 7, 127, -128, 255, 4096, 65536, 2**24, 2**31 - 1, -(2**31), 2**40)
FLOATS = (0.0, -1.0, 1e-30, 1e30, 1e-9, 256.0, float("nan"), float("inf"), 1.7e308, 1e-320)
TEXTS = ("", "a\x1b[31m\nb", "../../x", "/etc/passwd", "x" * 30_000, "\u202e", "nul\0", "語")


def integer(rng: Random, old: int) -> int:
    """Another integer: near, far, or one of those at which code breaks."""
    near = (old + 1, old - 1, old * 2, old // 2, -old, old ^ 1 << rng.randrange(16))
    return rng.choice((*INTEGERS, *near, *near, rng.randrange(-100, 1000)))


def number(rng: Random, old: float) -> float:
    """Another float."""
    return rng.choice((*FLOATS, old * 10.0 ** rng.uniform(-12, 12), -old, old * rng.uniform(0, 2)))


def flipped(rng: Random, data: bytes, most: int = 8) -> bytes:
    """Bytes with a few changed, cut out, or written twice."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, most))):
        at = rng.randrange(len(made) or 1)
        if rng.random() < 0.8 and made:
            made[at] = rng.choice((0, 1, 127, 128, 255, made[at] ^ 1 << rng.randrange(8)))
        elif rng.random() < 0.5:
            del made[at : at + rng.randrange(1, 64)]
        else:
            made[at:at] = made[at : at + rng.randrange(1, 64)]
    return bytes(made)


# ---- plain values: JSON and TOML ----


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            _places(value[key], found)
    return found


def plain(rng: Random, value: Any) -> Any:
    """A JSON value with a few of its parts changed."""
    made = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = _places(made, [])
        if not places:
            break
        holder, key = rng.choice(places)
        old = holder[key]
        how = rng.randrange(10)
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, dict):
            holder[rng.choice((*TEXTS, str(key) + "x"))] = holder.pop(key)
        elif how == 2:
            other, at = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[at]))
        elif how == 3:
            deep: Any = old
            for _ in range(rng.choice((1, 40, 400))):
                deep = [deep]
            holder[key] = deep
        elif how == 4:
            holder[key] = rng.choice((None, True, {}, [], 10**400, -(10**400), [old] * 300))
        elif isinstance(old, bool) or old is None:
            holder[key] = rng.choice((0, 1, "", not old))
        elif isinstance(old, int):
            holder[key] = integer(rng, old)
        elif isinstance(old, float):
            holder[key] = number(rng, old)
        elif isinstance(old, str):
            holder[key] = rng.choice((*TEXTS, old + "x", old[1:], old * 2))
    return made


def text_of(rng: Random, value: Any) -> bytes:
    """A mutated JSON text: mostly by its values, sometimes by its bytes."""
    text = json.dumps(plain(rng, value) if rng.random() < 0.9 else value).encode()
    return flipped(rng, text) if rng.random() < 0.15 else text


def lines(rng: Random, text: str, separators: str) -> bytes:
    """Tables and TOML: fields, lines and bytes changed."""
    rows = text.split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(rows))
        how = rng.randrange(7)
        if how == 0:
            del rows[at]
            rows = rows or [""]
        elif how == 1:
            rows.insert(at, rng.choice(rows))
        elif how == 2:
            rows[at] += rng.choice((*TEXTS, ",", '"', "=", "[" * 400, "#"))
        else:
            cut = rng.choice(separators)
            fields = rows[at].split(cut)
            field = rng.randrange(len(fields))
            old = fields[field]
            values = (
                *TEXTS,
                str(integer(rng, 3)),
                str(number(rng, 0.5)),
                "1" * 400,
                "[" * rng.choice((1, 50, 2000)),
                "nan",
                f" {old} ",
                old + old,
                '"' + old,
                "true",
            )
            fields[field] = rng.choice(values)
            rows[at] = cut.join(fields)
    data = "\n".join(rows).encode("utf-8", "replace")
    return flipped(rng, data) if rng.random() < 0.15 else data


# ---- TFLite ----

_WORDS = {"description", "name", "signatureKey", "debugMetadataIndex", "min", "max", "version"}


def _tflite_places(value: Any, found: list[tuple[Any, str, Any]]) -> list[tuple[Any, str, Any]]:
    """Object, name and value of each field below an object."""
    for key, old in list(vars(value).items()):
        if isinstance(old, np.ndarray) and not old.flags.writeable:
            old = old.copy()
            setattr(value, key, old)
        if key == "data" and isinstance(old, np.ndarray) and old.size > 64:
            continue  # of the weights any value is as good as another
        found.append((value, key, old))
        for inner in old if isinstance(old, list) else [old]:
            if hasattr(inner, "__dict__"):
                _tflite_places(inner, found)
    return found


def _change(rng: Random, holder: Any, key: Any, old: Any, alike: list[Any]) -> None:
    def put(value: Any) -> None:
        if isinstance(key, str):
            setattr(holder, key, value)
        else:
            holder[key] = value

    how = rng.random()
    if isinstance(old, (bool, int, np.integer)):
        alike = [value for value in alike if isinstance(value, (int, np.integer))]
        put(int(rng.choice(alike)) if how < 0.4 and alike else integer(rng, int(old)))
    elif isinstance(old, (float, np.floating)):
        put(number(rng, float(old)))
    elif isinstance(old, np.ndarray) and how < 0.3:
        put(old[: rng.randrange(len(old) + 1)] if rng.random() < 0.5 else np.tile(old, 2))
    elif isinstance(old, list) and old and how < 0.5:
        at = rng.randrange(len(old))
        if rng.random() < 0.5:
            del old[at]
        else:
            old.insert(rng.randrange(len(old) + 1), old[at])
    else:
        put(rng.choice([*alike, None]))


@cache
def _unpacked(model: bytes) -> bytes:
    from edgeemo.export.tflite_pack import unpack

    return pickle.dumps(unpack(model))


def tflite_model(rng: Random, model: bytes) -> bytes:
    """A flatbuffer with changed fields: tensors, scales, options, indexes, small constants."""
    import flatbuffers

    if rng.random() < 0.2:
        return flipped(rng, model)
    tree = pickle.loads(_unpacked(model))  # of our own making; unpacking takes ten times as long
    places = _tflite_places(tree, [])
    # Each kind of field as often as another: there are more shapes than operators. Words that a
    # runtime does not look at are left out.
    kinds = sorted({key for _, key, _ in places} - _WORDS)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        kind = rng.choice(kinds)
        chosen = [p for p in places if p[1] == kind]
        holder: Any
        key: Any
        holder, key, old = rng.choice(chosen)
        alike = [value for _, _, value in chosen]
        if isinstance(old, (list, np.ndarray)) and len(old) and rng.random() < 0.7:
            at = rng.randrange(len(old))
            alike = [value[at] for value in alike if value is not None and len(value) > at]
            holder, key, old = old, at, old[at]
            if hasattr(old, "__dict__"):
                holder, key, old = rng.choice(_tflite_places(old, []))
        _change(rng, holder, key, old, alike)
    builder = flatbuffers.Builder(1 << 18)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tflite_file(model: bytes, card: Card) -> bytes:
    """The flatbuffer with its card behind it, unchecked, the digest right."""
    from edgeemo.artifacts.tflite import digest
    from edgeemo.export.card_zip import zip_of_card

    return model + zip_of_card(replace(card, digest=digest(model)), len(model))


# ---- ONNX ----


def _messages(message: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    for field, value in message.ListFields():
        if field.name == "metadata_props":
            continue
        found.append((message, field))
        if field.message_type is not None:
            for inner in value if _repeated(field) else [value]:
                _messages(inner, found)
    return found


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == 3)


def onnx_model(rng: Random, data: bytes, seal: Callable[[Any], bytes]) -> bytes:
    """An ONNX file with changed nodes, attributes, shapes and small constants, sealed again."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(data)
    if rng.random() < 0.15:
        model.graph.ParseFromString(flipped(rng, model.graph.SerializeToString()))
        return seal(model)
    places = _messages(model, [])
    kinds = sorted({f.full_name for _, f in places})
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if rng.random() < 0.2:
            small = [
                t for t in model.graph.initializer if t.data_type == 7 and len(t.raw_data) < 256
            ]
            if small:
                tensor = rng.choice(small)
                array = numpy_helper.to_array(tensor).copy()
                flat = array.reshape(-1)
                if flat.size:
                    flat[rng.randrange(flat.size)] = integer(rng, int(flat[0])) % 2**62
                    tensor.raw_data = array.tobytes()
            continue
        kind = rng.choice(kinds)
        message, field = rng.choice([p for p in places if p[1].full_name == kind])
        try:
            _change_field(rng, message, field, [m for m, f in places if f.full_name == kind])
        except (ValueError, TypeError, IndexError):  # out of the field's range
            continue
    return seal(model)


def _change_field(rng: Random, message: Any, field: Any, alike: list[Any]) -> None:
    value, name = getattr(message, field.name), field.name
    if _repeated(field):
        if not len(value):
            return
        at, how = rng.randrange(len(value)), rng.randrange(4)
        if how == 0:
            del value[at]
        elif how == 1 and field.message_type is not None:
            value.append(value[at])
        elif how == 1:
            value.insert(at, value[at])
        elif field.message_type is None:
            value[at] = _scalar(rng, value[at], rng.choice(list(getattr(rng.choice(alike), name))))
        else:
            value[at].CopyFrom(rng.choice(list(getattr(rng.choice(alike), name))))
    elif field.message_type is not None:
        if rng.random() < 0.5:
            message.ClearField(name)
        else:
            value.CopyFrom(getattr(rng.choice(alike), name))
    else:
        setattr(message, name, _scalar(rng, value, getattr(rng.choice(alike), name)))


def _scalar(rng: Random, old: Any, other: Any) -> Any:
    if rng.random() < 0.4:
        return other
    if isinstance(old, int):
        return integer(rng, old)
    if isinstance(old, float):
        return number(rng, old)
    return flipped(rng, old) if isinstance(old, bytes) else rng.choice((old + "x", "", *TEXTS[:3]))


# ---- blobs and shards ----


def blob(rng: Random, data: bytes, tables: int) -> bytes:
    """An engine blob with changed words of its tables; `tables` is their size in bytes."""
    words = np.frombuffer(data, "<i4", tables // 4).copy()
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(words))
        new = (
            int(rng.choice(words.tolist())) if rng.random() < 0.4 else integer(rng, int(words[at]))
        )
        words[at] = (new + 2**31) % 2**32 - 2**31
    made = words.tobytes() + data[tables:]
    return made[: rng.randrange(len(made))] if rng.random() < 0.02 else made


def shard(rng: Random, members: list[tuple[str, bytes]]) -> bytes:
    """A tar file with changed names, kinds, sizes and labels; checksums are right again."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if name.endswith(".json") and rng.random() < 0.5:
                data = text_of(rng, json.loads(data))
            info.size = len(data)
            if rng.random() < 0.2:
                info.name = rng.choice((*TEXTS, name + "x", "a/../" + name)) or "y"
            if rng.random() < 0.1:
                info.type = rng.choice((b"1", b"2", b"3", b"5", b"6", b"S", b"x", b"L", b"g"))
                info.linkname = rng.choice(TEXTS)
            if rng.random() < 0.1:
                key = rng.choice(("size", "path", "GNU.sparse.map", "mtime"))
                info.pax_headers = {key: rng.choice(("9" * 400, "-1", "x", "1,2,3", "nan"))}
            archive.addfile(info, io.BytesIO(data))
    made = bytearray(buffer.getvalue())
    for _ in range(rng.randrange(3)):
        start = 512 * rng.randrange(len(made) // 512)
        made[start + rng.randrange(148)] = rng.randrange(256)
        made[start + 148 : start + 156] = b" " * 8
        made[start + 148 : start + 156] = b"%06o\0 " % sum(made[start : start + 512])
    return bytes(made[: rng.randrange(len(made))] if rng.random() < 0.05 else made)
