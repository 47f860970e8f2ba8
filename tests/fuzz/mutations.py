"""Mutations of files: of any bytes, and of the parts of zip files, HDF5, protocol buffers, LevelDB tables and JSON.

A mutation of a part puts lengths and checksums right, so that readers get past them.
"""

import io
import json
import re
import struct
import warnings
import zipfile
import zlib

from support.files import checkpoint_index, protobuf_fields

NUMBERS = [0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**20, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40]
NUMBERS += [2**62, 2**63 - 1, 2**63, 2**64 - 1]
SIGNATURES = re.compile(rb"TREE|HEAP|SNOD|GCOL|OHDR|FRHP|FHDB|BTHD|\x89HDF")
DTYPES = ["|O", "<f4", ">f8", "<U99999999", "|V8", "|S0", "<M8[ns]", "<c16", "x", "<f2", "|b1", "[('a', '<f4')]"]
TEXTS = ["", "LSTM", "Bidirectional", "RNN", "Sequential", "relu", "a" * 2000, "../x", "\0", "é" * 40, "model_weights"]
VALUES = [None, True, -1, 0, 1e308, float("nan"), 2**70, [], {}, [[[[]]]], {"config": {}}, [{}], [None, 1, "a"]]


def mutate(data, kind, random):
    """The bytes of a file of a kind, with a few mutations.

    Args:
      data: bytes.
      kind: a name in `KINDS`.
      random: a `random.Random`.
    """
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        mutation = KINDS[kind] if random.random() < 0.75 else any_bytes
        try:
            data = mutation(data, random)
        except (ValueError, AssertionError, LookupError, struct.error, zipfile.BadZipFile, zlib.error, OverflowError):
            data = any_bytes(data, random)  # An earlier mutation has destroyed the structure.
        except (NotImplementedError, RuntimeError, EOFError, UnicodeError):
            data = any_bytes(data, random)
    return data


def any_bytes(data, random):
    """Changed, moved, doubled or missing bytes, and numbers that are hostile as sizes or addresses."""
    if not data:
        return bytes([random.randrange(256)])
    data, place = bytearray(data), random.randrange(len(data))
    if random.random() < 0.5:
        place = random.randrange(min(len(data), 2000))  # Headers are at the start.
    size = min(random.choice([1, 1, 2, 4, 8, 64, 1000]), len(data) - place)
    action = random.randrange(7)
    if action == 0:
        data[place] ^= 1 << random.randrange(8)
    elif action == 1:
        data[place] = random.randrange(256)
    elif action == 2:
        del data[place : place + size]
    elif action == 3:
        data[place:place] = data[place : place + size] * random.choice([1, 1, 50])
    elif action == 4:
        other = random.randrange(len(data))
        data[place : place + size] = data[other : other + size]
    elif action == 5:
        width = random.choice([1, 2, 4, 8])
        number = (random.choice(NUMBERS) + random.choice([-1, 0, 0, 1])) % 256**width
        data[place : place + width] = number.to_bytes(width, random.choice(["little", "little", "big"]))
    else:
        del data[place:]
    return bytes(data)


def hdf5(data, random):
    """A number near one of the structures, which have signatures; h5py's files have no checksums."""
    data, places = bytearray(data), [match.start() for match in SIGNATURES.finditer(data)]
    place = random.choice(places) + 8 * random.randrange(40) if random.random() < 0.5 else 8 * random.randrange(1, 400)
    width = random.choice([1, 2, 4, 8])
    place += random.choice([0, 0, random.randrange(8)])
    addresses = [*places, len(data)]
    number = random.choice([random.choice(NUMBERS), random.choice(addresses), random.randrange(100)])
    data[place : place + width] = (number % 256**width).to_bytes(width, "little")
    return bytes(data)


def protobuf(data, random, depth=0):
    """A field that is changed, missing, doubled, of another kind or moved, in the message or in one within it."""
    fields = protobuf_fields.parse(data)
    k = random.randrange(len(fields))
    number, kind, value = fields[k]
    if kind == 2 and depth < 12 and random.random() < 0.8:
        try:
            fields[k] = (number, kind, protobuf(value, random, depth + 1))
            return protobuf_fields.serialize(fields)
        except (ValueError, IndexError):
            pass
    action = random.randrange(5)
    if action == 0:
        del fields[k]
    elif action == 1:
        fields[k:k] = [fields[k]] * random.choice([1, 1, 30])
    elif action == 2:
        fields[k] = (random.randrange(1, 24), kind, value)
    elif action == 3:
        fields.insert(random.randrange(len(fields)), fields.pop(k))
    elif kind == 0:
        fields[k] = (number, kind, random.choice([*NUMBERS, value + 1, random.randrange(40)]))
    elif kind == 2 and value:
        fields[k] = (number, kind, any_bytes(value, random))
    else:
        fields[k] = (number, 0, random.choice(NUMBERS))
    return protobuf_fields.serialize(fields)


def table(data, random):
    """An entry of a LevelDB table that is changed, missing, doubled or renamed. The checksums are right."""
    entries = checkpoint_index.read(data)
    k = random.randrange(len(entries))
    key, value = entries[k]
    action = random.randrange(8)
    if action == 0:
        del entries[k]
    elif action == 1:
        entries[k:k] = [(key + b"x" * random.randrange(2), value)]
    elif action == 2:
        entries[k] = (any_bytes(key, random), value)
    elif action == 3:
        entries[k] = (key, random.choice(entries)[1])
    else:
        entries[k] = (key, protobuf(value, random))
    if random.random() < 0.8:
        entries.sort()
    return checkpoint_index.write(entries)


def json_text(data, random):
    """A value in JSON that is hostile, missing or doubled."""
    root = json.loads(data.decode())
    nodes = [(root, key) for key in root]
    for parent, key in nodes:  # The list grows.
        value = parent[key]
        if isinstance(value, (dict, list)) and len(nodes) < 5000:
            nodes += [(value, name) for name in (value if isinstance(value, dict) else range(len(value)))]
    parent, key = random.choice(nodes)
    action = random.randrange(4)
    if action == 0:
        del parent[key]
    elif action == 1:
        parent[key] = random.choice(VALUES + TEXTS + NUMBERS)
    elif action == 2:
        parent[key] = random.choice(nodes)[0]
        if parent[key] in (parent, root):
            parent[key] = [parent[key].copy()]
    elif isinstance(parent, dict):
        parent[random.choice(TEXTS)] = parent[key]
    return json.dumps(root).encode()


def safetensors(data, random):
    """The header, which is JSON, with its right length."""
    size = struct.unpack("<Q", data[:8])[0]
    header = (json_text if random.random() < 0.8 else any_bytes)(data[8 : 8 + size], random)
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def npy(data, random):
    """A number or the type in the header of an array."""
    size = struct.unpack("<H", data[8:10])[0]
    header = data[10 : 10 + size].decode()
    if random.random() < 0.3:
        header = re.sub(r"'descr': '[^']*'", f"'descr': {random.choice(DTYPES)!r}", header)
    else:
        numbers = list(re.finditer(r"\d+", header))
        number = random.choice(numbers)
        new = random.choice(["-1", "1" * 5000, "True", str(random.choice(NUMBERS)), "None", "", "9, 9"])
        header = header[: number.start()] + new + header[number.end() :]
    return data[:8] + struct.pack("<H", len(header)) + header.encode() + data[10 + size :]


def archive(data, random):
    """A member of a zip file that is changed, missing, doubled or renamed. The checksums are right."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = [(info.filename, source.read(info)) for info in source.infolist()]
    k = random.randrange(len(members))
    name, content = members[k]
    action = random.randrange(8)
    if action == 0:
        del members[k]
    elif action == 1:
        members.append((name, random.choice(members)[1]))
    elif action == 2:
        members[k] = (random.choice(["../x", "a/b", "", name + "\0", "é", "a" * 3000]), content)
    else:
        mutation = {"npy": npy, "json": json_text, "h5": hdf5}.get(name.rpartition(".")[2], any_bytes)
        members[k] = (name, mutation(content, random))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as new:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Two members of one name.
            for name, content in members:
                new.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


# Suffix of a file -> the mutation of its parts.
KINDS = {
    ".npz": archive,
    ".keras": archive,
    ".h5": hdf5,
    ".onnx": protobuf,
    ".safetensors": safetensors,
    ".index": table,
    ".data": any_bytes,
}
