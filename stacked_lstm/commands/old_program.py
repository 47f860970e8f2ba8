"""An old program: moves its names of TensorFlow 1 to this package, and keeps its formatting. It needs libcst.

The imports of the program decide what a name means, scope by scope. A name moves in one of three ways:

* `tf.nn.rnn_cell.LSTMCell` becomes `tf1_rnn.LSTMCell`, and an import of `tf1_rnn` is added.
* `from tensorflow.contrib.rnn import LSTMCell` takes the name from this package's module.
* `from tensorflow.contrib import rnn` imports this package's module under the name `rnn`.

Imports of TensorFlow's other public names and modules take them from `tensorflow.compat.v1`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import libcst
from libcst import matchers, metadata

from stacked_lstm.commands import old_names
from stacked_lstm.commands.new_imports import NewImports
from stacked_lstm.commands.python_syntax import (
    NO_COMMA,
    dotted_name,
    import_alias,
    import_part,
    insert_after_imports,
    name_node,
    syntax_problem,
)

_STAR = "`*` hides which names the program uses: import them by name, and run this again"


class Remark(NamedTuple):
    """A name that cannot move.

    Fields:
      line: its line, from 1.
      name: its complete name.
      advice: what to do about it.
    """

    line: int
    name: str
    advice: str


def move(source: bytes) -> bytes:
    """Moves the names of a program.

    Args:
      source: the text of a Python file.

    Returns:
      The text after the move, in the same encoding; the same text if there is nothing to move.

    Raises:
      ValueError: the text is not Python 3, or not in the encoding that its first lines name.
    """
    module, moved, mover = _visit(source)
    if not moved.deep_equals(module):
        moved = moved.with_changes(body=insert_after_imports(moved.body, mover.imports.statements()))
    return moved.bytes


def remarks(source: bytes) -> list[Remark]:
    """Returns the names that `move` leaves to the user, sorted by line."""
    return sorted(_visit(source)[2].remarks)


def _visit(source: bytes) -> tuple[libcst.Module, libcst.Module, _Mover]:
    """Returns the syntax tree of a program, the tree with moved names, and what moved them."""
    try:
        module = libcst.parse_module(source)
    except (libcst.ParserSyntaxError, SyntaxError, LookupError, UnicodeDecodeError) as error:
        raise ValueError(syntax_problem(source)) from error
    mover = _Mover()
    return module, metadata.MetadataWrapper(module, unsafe_skip_copy=True).visit(mover), mover


class _Mover(libcst.CSTTransformer):
    """Rewrites a syntax tree, and gathers the remarks and the new imports."""

    METADATA_DEPENDENCIES = (metadata.ScopeProvider, metadata.ParentNodeProvider, metadata.PositionProvider)

    def __init__(self) -> None:
        super().__init__()
        self.remarks: list[Remark] = []
        self.imports = NewImports()
        self._attributes: dict[str, str] = {}  # Attribute such as `self.rnn` -> the complete name of its value.
        self._done: set[Any] = set()  # Nodes whose name has moved.

    def visit_Module(self, node: libcst.Module) -> None:  # noqa: N802 - libcst's names.
        scope: Any = self.get_metadata(metadata.ScopeProvider, node)
        nodes: Any = matchers.findall(node, matchers.Name())
        names = {name.value for name in nodes if name.value}
        imported = {name: self._value(binding, name, frozenset()) for name in names for binding in scope[name]}
        self.imports.read_names(names, imported)
        to_attribute = matchers.Assign(targets=[matchers.AssignTarget(matchers.Attribute())])
        statements: Any = matchers.findall(node, to_attribute)
        for statement in statements:
            self._attributes[dotted_name(statement.targets[0].target)] = self._complete(statement.value)[1]

    def leave_Attribute(self, original_node: libcst.Attribute, updated_node: libcst.Attribute) -> Any:  # noqa: N802
        base, name = self._complete(original_node)
        if not base:
            self._remark_unknown(original_node)
            return updated_node
        if original_node.value in self._done:
            self._done.add(original_node)
            return updated_node
        new, tensorflow_name = old_names.home(name), old_names.tensorflow_name(name)
        if new or tensorflow_name:
            self._done.add(original_node)
        if new and old_names.new_module(base):  # The import of the module moves.
            return updated_node
        if new:
            return updated_node.with_changes(value=libcst.Name(self.imports.use(new)))
        if tensorflow_name:
            self.imports.uses_tensorflow = True
            return name_node(tensorflow_name.replace("tensorflow", self.imports.tensorflow or "tf", 1))
        parent = self.get_metadata(metadata.ParentNodeProvider, original_node)
        if isinstance(parent, libcst.Attribute) or self._is_needless_name(parent):
            return updated_node
        new = old_names.new_module(name)
        if new:
            return libcst.Name(self.imports.use(new), lpar=updated_node.lpar, rpar=updated_node.rpar)
        self.imports.disables_v2 |= old_names.split(name) == ("tensorflow", "disable_v2_behavior")
        self._remark(original_node, name)
        return updated_node

    def leave_SimpleStatementLine(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802
        statements: list[Any] = []
        for old, new in zip(original_node.body, updated_node.body):
            if isinstance(old, libcst.ImportFrom):
                statements.extend(self._move_import_from(old))
            elif isinstance(old, libcst.Import):
                statements.extend(self._move_import(old))
            elif not self._is_needless_name(old):
                statements.append(new)
        if not statements and not matchers.findall(original_node, matchers.Comment()):
            return libcst.RemoveFromParent()
        statements = statements or list(original_node.body)
        if len(statements) == len(updated_node.body):
            return updated_node.with_changes(body=statements)
        lines = [libcst.SimpleStatementLine([statement]) for statement in statements]
        lines[0] = lines[0].with_changes(leading_lines=updated_node.leading_lines)
        lines[-1] = lines[-1].with_changes(trailing_whitespace=updated_node.trailing_whitespace)
        return libcst.FlattenSentinel(lines)

    def leave_SimpleStatementSuite(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802
        for statement in original_node.body:
            if isinstance(statement, (libcst.Import, libcst.ImportFrom)):
                line = self.get_metadata(metadata.PositionProvider, statement).start.line
                self.remarks.append(Remark(line, "import", "put it on a line of its own, and run this again"))
        return updated_node

    def _move_import_from(self, node: libcst.ImportFrom) -> list[libcst.BaseSmallStatement]:
        module = dotted_name(node.module) if node.module and not node.relative else ""
        if not _is_in(module, "tensorflow"):
            return [node]
        if isinstance(node.names, libcst.ImportStar):
            new = old_names.new_module(module)
            self._remark(node, module, _STAR if old_names.v1_name(module) and not new else None)
            return [node.with_changes(module=name_node(new))] if new else [node]
        kept: list[libcst.ImportAlias] = []
        moved: dict[str, list[libcst.ImportAlias]] = {}  # Module -> what is imported from it.
        for alias in node.names:
            destination = self._destination(node, module, alias)
            if destination:
                moved.setdefault(destination[0], []).append(destination[1])
                continue
            name = f"{module}.{alias.evaluated_name}"
            if not self._is_needless(node, name, alias.evaluated_alias or alias.evaluated_name):
                kept.append(alias)
                self._remark(node, name)
        if not moved and len(kept) == len(node.names):
            return [node]
        is_whole = [len(aliases) for aliases in moved.values()] == [len(node.names)]
        if is_whole and next(iter(moved)) in (old_names.new_module(module), old_names.v1_name(module)):
            return [node.with_changes(module=name_node(*moved))]  # Comments between the names stay.
        parts = {module: kept, **moved} if kept else moved
        return [import_part(node, new, aliases) for new, aliases in parts.items()]

    def _destination(
        self, node: libcst.ImportFrom, module: str, alias: libcst.ImportAlias
    ) -> tuple[str, libcst.ImportAlias] | None:
        """Returns (module, alias) of the new import of a name of a module, or None if it has none."""
        name = f"{module}.{alias.evaluated_name}"
        new, home, tensorflow_name = old_names.new_module(name), old_names.home(name), old_names.tensorflow_name(name)
        if tensorflow_name:
            return old_names.split(tensorflow_name)[0].replace("tensorflow", "tensorflow.compat.v1", 1), alias
        if new:
            package, last = old_names.split(new)
            new_alias = import_alias(last, alias.evaluated_alias or alias.evaluated_name)
            return package, new_alias.with_changes(comma=alias.comma)
        v1 = old_names.v1_name(module) if old_names.v1_name(name) else None
        if v1 and not home:
            self.imports.uses_tensorflow = True
            self._remark(node, name)
        target = home or v1
        return (target, alias) if target else None

    def _move_import(self, node: libcst.Import) -> list[libcst.BaseSmallStatement]:
        kept: list[libcst.ImportAlias] = []
        statements: list[libcst.BaseSmallStatement] = []
        for alias in node.names:
            name, bound = alias.evaluated_name, alias.evaluated_alias
            new = old_names.new_module(name) if bound else None
            if name in ("tensorflow", "tensorflow.compat.v1"):
                self.imports.uses_tensorflow = True
                if isinstance(self.get_metadata(metadata.ScopeProvider, node), metadata.GlobalScope):
                    self.imports.tensorflow = self.imports.tensorflow or bound or name
                alias = alias if "." in name else import_alias("tensorflow.compat.v1", bound or "tensorflow")
            v1 = old_names.v1_name(name) if name != "tensorflow" else None
            if new:
                package, last = old_names.split(new)
                statements.append(libcst.ImportFrom(name_node(package), [import_alias(last, bound or "")]))
            elif bound and v1:
                self.imports.uses_tensorflow = True
                self._remark(node, name)
                kept.append(import_alias(v1, bound))
            elif not (bound and self._is_needless(node, name, bound)):
                is_moved = v1 or old_names.new_module(name)
                self._remark(node, name, "import it under a name, with `as`" if is_moved else None)
                kept.append(alias.with_changes(comma=NO_COMMA))
        return ([node.with_changes(names=kept)] if kept else []) + statements

    def _is_needless_name(self, node: libcst.CSTNode) -> bool:
        """Returns whether a statement such as `contrib = tf.contrib` is needless; see `_is_needless`."""
        if not isinstance(node, libcst.Assign) or len(node.targets) > 1:
            return False
        bound = dotted_name(node.targets[0].target)
        return "." not in bound and self._is_needless(node, self._complete(node.value)[1], bound)

    def _is_needless(self, node: libcst.CSTNode, name: str, bound: str) -> bool:
        """Returns whether a statement binds tf.contrib to a name whose every use moves to another module."""
        scope: Any = self.get_metadata(metadata.ScopeProvider, node, None)
        if not scope or old_names.split(name) != ("tensorflow", "contrib"):
            return False
        assignments = list(scope[bound])
        return len(assignments) == 1 and all(self._moves(access.node) for access in assignments[0].references)

    def _moves(self, node: Any) -> bool:
        """Returns whether a name, or an attribute of it, moves to another module."""
        while True:
            name = self._complete(node)[1]
            if old_names.home(name) or old_names.tensorflow_name(name):
                return True
            parent = self.get_metadata(metadata.ParentNodeProvider, node)
            if not isinstance(parent, libcst.Attribute) or parent.value is not node:
                return bool(old_names.new_module(name))
            node = parent

    def _remark(self, node: libcst.CSTNode, name: str, advice: str | None = None) -> None:
        advice = advice or old_names.remark(name)
        if advice:
            line = self.get_metadata(metadata.PositionProvider, node).start.line
            self.remarks.append(Remark(line, ".".join(filter(None, old_names.split(name))), advice))

    def _remark_unknown(self, node: libcst.Attribute) -> None:
        """Remarks an old name such as `tf.contrib.rnn.LSTMCell`, whose `tf` the program does not import."""
        parent = self.get_metadata(metadata.ParentNodeProvider, node)
        if isinstance(parent, (libcst.Attribute, libcst.ImportAlias, libcst.ImportFrom)):
            return
        value, _, last = dotted_name(node).rpartition(".")
        if self._attributes.get(value):  # As in `self.rnn = tf.contrib.rnn`, which moves.
            name = f"{self._attributes[value]}.{last}"
            return None if old_names.home(name) else self._remark(node, name)
        first, _, rest = dotted_name(node).partition(".")
        if first not in ("tf", "tensorflow"):
            return
        name = f"tensorflow.{rest}"
        if old_names.home(name) or old_names.new_module(name) or old_names.remark(name):
            advice = f"nothing here says what `{first}` is: import it in this file, and run this again"
            self._remark(node, name, advice)

    def _complete(self, node: libcst.CSTNode, seen: frozenset = frozenset()) -> tuple[str, str]:
        """Returns the complete names of the first part of a dotted name, and of all of it; empty if unknown.

        Args:
          node: the dotted name.
          seen: assignments that depend on it.
        """
        dotted = dotted_name(node)
        scope = self.get_metadata(metadata.ScopeProvider, node, None)
        if not dotted or not scope:
            return "", ""
        first, _, rest = dotted.partition(".")
        values = [self._value(assignment, first, seen) for assignment in scope[first] if assignment not in seen]
        known = sorted(value for value in values if _is_in(value, "tensorflow") or _is_in(value, "stacked_lstm"))
        if not known:
            return "", ""
        return known[0], f"{known[0]}.{rest}" if rest else known[0]

    def _value(self, assignment: Any, name: str, seen: frozenset) -> str:
        """Returns the complete name of what an import or an assignment such as `rnn = tf.contrib.rnn` binds."""
        if isinstance(assignment, metadata.ImportAssignment):
            return min(qualified.name for qualified in assignment.get_qualified_names_for(name))
        statement = getattr(assignment, "node", None)
        for _ in range(2):  # From the name to the target of the assignment, and from there to the statement.
            statement = self.get_metadata(metadata.ParentNodeProvider, statement, None) if statement else None
        if isinstance(statement, libcst.Assign) and isinstance(statement.value, (libcst.Attribute, libcst.Name)):
            return self._complete(statement.value, seen | {assignment})[1]
        return ""


def _is_in(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")
