"""TensorFlow's checkpoint indexes, which are LevelDB tables, read and written with right checksums. Plain Python."""

import struct

_MAGIC = 0xDB4775248B80FB57
_POLYNOMIAL = 0x82F63B78  # Of CRC-32C, with its bits in reverse.


def _checksums_of_bytes():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _checksums_of_bytes()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 255]
    return value ^ 0xFFFFFFFF


def masked(checksum):
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(number):
    number &= 2**64 - 1
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes(encoded + bytes([number]))


def read_varint(data, start):
    """(number, where it ends)"""
    number = shift = 0
    while True:
        byte = data[start]
        number |= (byte & 127) << shift
        start, shift = start + 1, shift + 7
        if byte < 128:
            return number, start


def _block_at(data, handle):
    start, end = read_varint(handle, 0)
    size, _ = read_varint(handle, end)
    assert data[start + size] == 0, "a compressed block"
    return data[start : start + size]


def _entries(block):
    restarts = struct.unpack("<I", block[-4:])[0]
    place, end, key, entries = 0, len(block) - 4 - 4 * restarts, b"", []
    while place < end:
        shared, place = read_varint(block, place)
        own, place = read_varint(block, place)
        size, place = read_varint(block, place)
        key = key[:shared] + block[place : place + own]
        entries.append((key, block[place + own : place + own + size]))
        place += own + size
    return entries


def read(data):
    """List of (key, value) of a table. The first key is empty; its value is the header of the checkpoint."""
    footer = data[-48:]
    assert struct.unpack("<Q", footer[-8:])[0] == _MAGIC
    _, end = read_varint(footer, 0)
    _, end = read_varint(footer, end)
    return [pair for _, handle in _entries(_block_at(data, footer[end:])) for pair in _entries(_block_at(data, handle))]


def _block(entries):
    data, restarts = b"", []
    for key, value in entries:
        restarts.append(len(data))
        data += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    restarts = restarts or [0]
    data += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    return data


def write(entries):
    """The bytes of a table of (key, value) pairs, in one block."""
    data, handles = b"", []
    for block in (_block(entries), _block([]), None):
        if block is None:
            block = _block([(max(key for key, _ in entries), handles[0])])
        handles.append(varint(len(data)) + varint(len(block)))
        data += block + b"\0" + struct.pack("<I", masked(crc32c(block + b"\0")))
    return data + (handles[1] + handles[2]).ljust(40, b"\0") + struct.pack("<Q", _MAGIC)
