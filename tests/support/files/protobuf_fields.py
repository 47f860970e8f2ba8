"""Protocol buffers as lists of fields, without their definitions. Plain Python."""

from support.files.checkpoint_index import read_varint, varint

_FIXED = {1: 8, 5: 4}  # Kind of a field -> its bytes.


def parse(data):
    """List of (number, kind, value): integers have the kind 0, bytes the kind 2. ValueError if it is no message."""
    fields, place = [], 0
    try:
        while place < len(data):
            tag, place = read_varint(data, place)
            number, kind = tag >> 3, tag & 7
            if kind == 0:
                value, place = read_varint(data, place)
            else:
                size = _FIXED.get(kind)
                if kind == 2:
                    size, place = read_varint(data, place)
                if size is None or number == 0 or place + size > len(data):
                    raise ValueError("no message")
                value, place = data[place : place + size], place + size
            fields.append((number, kind, value))
    except IndexError as error:
        raise ValueError("no message") from error
    return fields


def serialize(fields):
    """The bytes of fields as `parse` returns them."""
    data = b""
    for number, kind, value in fields:
        data += varint(number << 3 | kind)
        if kind == 0:
            data += varint(value)
        else:
            data += (varint(len(value)) if kind == 2 else b"") + value
    return data
