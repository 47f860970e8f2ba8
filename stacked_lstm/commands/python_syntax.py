"""Functions for syntax trees of Python programs: nodes of names, and new statements after the imports.

The module needs libcst.
"""

from __future__ import annotations

import ast
import io
import tokenize
from typing import Any, Sequence

import libcst
from libcst import matchers
from libcst.helpers import parse_template_statement

NO_COMMA = libcst.MaybeSentinel.DEFAULT


def syntax_problem(source: bytes) -> str:
    """Returns why a text is not a Python 3 program, in Python's own words."""
    try:
        source.decode(_encoding(source))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        hint = "a comment such as # coding: latin-1 in line 1 names another encoding"
        return f"line {line}: expected {error.encoding}, got byte 0x{error.object[error.start]:02x}; {hint}"
    except LookupError:
        pass  # Python says that it does not know the encoding.
    try:
        ast.parse(source)
    except SyntaxError as error:
        place = f"line {error.lineno}: " if error.lineno else ""
        return f"{place}this is not Python 3 ({error.msg}); if it is Python 2, translate it with 2to3"
    except ValueError as error:
        return f"this is not Python 3 ({error})"
    return "libcst cannot read this program"


def _encoding(source: bytes) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(source).readline)[0]
    except SyntaxError:
        return "utf-8"


def dotted_name(node: libcst.CSTNode) -> str:
    """Returns the text of a dotted name, or an empty string for another expression."""
    if isinstance(node, libcst.Attribute):
        value = dotted_name(node.value)
        return value and f"{value}.{node.attr.value}"
    return node.value if isinstance(node, libcst.Name) else ""


def name_node(name: str) -> Any:
    """Returns the node of a dotted name."""
    return libcst.parse_expression(name)


def import_alias(name: str, bound: str) -> libcst.ImportAlias:
    """Returns the node of `name as bound` in an import, or of `name` if both are equal."""
    asname = None if bound == name else libcst.AsName(libcst.Name(bound))
    return libcst.ImportAlias(name_node(name), asname)


def import_part(node: libcst.ImportFrom, module: str, aliases: Sequence[libcst.ImportAlias]) -> libcst.ImportFrom:
    """Returns an import of `aliases`, which are names of the import `node`, from `module`. Their comments stay."""
    if not matchers.findall(node, matchers.Comment()):
        return libcst.ImportFrom(name_node(module), [alias.with_changes(comma=NO_COMMA) for alias in aliases])
    names: Any = node.names
    has_last = aliases[-1].comma == names[-1].comma  # The comment of the last name may be before the parenthesis.
    rpar = node.rpar if has_last else libcst.RightParen()
    return node.with_changes(module=name_node(module), names=aliases, rpar=rpar)


def insert_after_imports(body: Sequence[Any], statements: Sequence[str]) -> list[Any]:
    """Returns a module's body with new statements after its first imports and after the import of TensorFlow."""
    position = 0
    for k, statement in enumerate(body):
        small = statement.body[0] if isinstance(statement, libcst.SimpleStatementLine) else None
        is_docstring = k == 0 and isinstance(small, libcst.Expr) and isinstance(small.value, libcst.SimpleString)
        is_import = isinstance(small, (libcst.Import, libcst.ImportFrom))
        if (position == k and (is_docstring or is_import)) or _imports_tensorflow(statement):
            position = k + 1
    new = [parse_template_statement(statement) for statement in statements]
    if new and not statements[-1].startswith(("from", "import")):
        new[-1] = new[-1].with_changes(leading_lines=[libcst.EmptyLine(indent=False)])
    return [*body[:position], *new, *body[position:]]


def _imports_tensorflow(statement: Any) -> bool:
    """Returns whether a statement of a module, such as a `try`, binds TensorFlow in the module."""
    if isinstance(statement, (libcst.FunctionDef, libcst.ClassDef)):
        return False
    aliases: Any = matchers.findall(statement, matchers.ImportAlias())
    names = [alias.evaluated_name for alias in aliases]
    return any(name in ("tensorflow", "tensorflow.compat.v1") for name in names)
