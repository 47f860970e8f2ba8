"""Text of users, as bytes in UTF-8."""

import io


def lines(content):
    """Returns the lines of bytes in UTF-8 as str, without the ends, which may be those of any system."""
    return [line.rstrip("\n") for line in io.StringIO(decode(content, "--input"), newline=None)]


def decode(content, source):
    """Returns bytes in UTF-8, with or without a byte order mark, as str; raises ValueError that names the line."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        rest = error.object  # The bytes without the byte order mark.
        line = rest.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{source}, line {line}: expected UTF-8, got byte 0x{rest[error.start]:02x}") from None
