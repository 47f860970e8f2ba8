"""An old program: moves its names of TensorFlow 1 to this package, and keeps its formatting. It needs libcst.

A name moves in one of three ways:

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
from stacked_lstm.commands.program_names import ProgramNames
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
    mover = _Mover(ProgramNames(metadata.MetadataWrapper(module, unsafe_skip_copy=True)))
    return module, module.visit(mover), mover


class _Mover(libcst.CSTTransformer):
    """Rewrites a syntax tree, and gathers the remarks and the new imports."""

    def __init__(self, names: ProgramNames) -> None:
        super().__init__()
        self.remarks: list[Remark] = []
        self.imports = NewImports()
        self.imports.read_names(names.all, names.imports)
        self._names = names
        self._done: set[Any] = set()  # Nodes whose name has moved.

    def leave_Attribute(self, original_node: libcst.Attribute, updated_node: libcst.Attribute) -> Any:  # noqa: N802
        base, name = self._names.complete(original_node)
        if not base:
            self._remark_unknown(original_node)
            return updated_node
        new, tensorflow_name = old_names.home(name), old_names.tensorflow_name(name)
        if original_node.value in self._done and not tensorflow_name:
            self._done.add(original_node)
            return updated_node
        if new or tensorflow_name:
            self._done.add(original_node)
        if new and old_names.new_module(base) and old_names.split(name)[0] == ".".join(old_names.split(base)):
            # The import of the module moves.
            return updated_node
        if new:
            return updated_node.with_changes(value=libcst.Name(self.imports.use(new)))
        if tensorflow_name:
            self.imports.uses_tensorflow = True
            return name_node(tensorflow_name.replace("tensorflow", self.imports.tensorflow or "tf", 1))
        parent = self._names.parent(original_node)
        if isinstance(parent, libcst.Attribute) or self._names.is_needless_assignment(parent):
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
            elif not self._names.is_needless_assignment(old):
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
                line = self._names.line(statement)
                self.remarks.append(Remark(line, "import", "put it on a line of its own, and run this again"))
        return updated_node

    def _move_import_from(self, node: libcst.ImportFrom) -> list[libcst.BaseSmallStatement]:
        module = dotted_name(node.module) if node.module and not node.relative else ""
        if not module.split(".")[0] == "tensorflow":
            return [node]
        if isinstance(node.names, libcst.ImportStar):
            new = old_names.new_module(module)
            is_lost = module in old_names.MODULES_WITH_LOST_NAMES or module in old_names.SHARED_MODULES
            self._remark(node, module, _STAR if is_lost or (old_names.v1_name(module) and not new) else None)
            others = self._starred_modules() if old_names.has_tensorflow_modules(module) else []
            return [node.with_changes(module=name_node(new)), *others] if new else [node]
        kept: list[libcst.ImportAlias] = []
        moved: dict[str, list[libcst.ImportAlias]] = {}  # Module -> what is imported from it.
        for alias in node.names:
            destination = self._destination(node, module, alias)
            if destination:
                moved.setdefault(destination[0], []).append(destination[1])
                continue
            name = f"{module}.{alias.evaluated_name}"
            if not self._names.is_needless(node, name, alias.evaluated_alias or alias.evaluated_name):
                kept.append(alias)
                self._remark(node, name)
        if not moved and len(kept) == len(node.names):
            return [node]
        is_whole = [len(aliases) for aliases in moved.values()] == [len(node.names)]
        if is_whole and next(iter(moved)) in (old_names.new_module(module), old_names.v1_name(module)):
            return [node.with_changes(module=name_node(*moved))]  # Comments between the names stay.
        parts = {module: kept, **moved} if kept else moved
        return [import_part(node, new, aliases) for new, aliases in parts.items()]

    def _starred_modules(self) -> list[libcst.ImportFrom]:
        """Returns imports of those modules of TensorFlow that the program has from the `*` of a module of cells."""
        modules = [(name, *old_names.split(complete)) for name, complete in sorted(self._names.starred.items())]
        return [libcst.ImportFrom(name_node(package), [import_alias(last, name)]) for name, package, last in modules]

    def _destination(
        self, node: libcst.ImportFrom, module: str, alias: libcst.ImportAlias
    ) -> tuple[str, libcst.ImportAlias] | None:
        """Returns (module, alias) of the new import of a name of a module, or None if it has none."""
        name = f"{module}.{alias.evaluated_name}"
        new = old_names.new_module(name) or old_names.tensorflow_module(name)
        home, tensorflow_name = old_names.home(name), old_names.tensorflow_name(name)
        if tensorflow_name:
            package, last = old_names.split(tensorflow_name)
            new_alias = import_alias(last, alias.evaluated_alias or alias.evaluated_name)
            package = package.replace("tensorflow", "tensorflow.compat.v1", 1)
            return package, new_alias.with_changes(comma=alias.comma) if last != alias.evaluated_name else alias
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
                if self._names.is_global(node):
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
            elif not (bound and self._names.is_needless(node, name, bound)):
                is_moved = v1 or old_names.new_module(name)
                self._remark(node, name, "import it under a name, with `as`" if is_moved else None)
                kept.append(alias.with_changes(comma=NO_COMMA))
        return ([node.with_changes(names=kept)] if kept else []) + statements

    def _remark(self, node: libcst.CSTNode, name: str, advice: str | None = None) -> None:
        advice = advice or old_names.remark(name)
        if advice:
            line = self._names.line(node)
            self.remarks.append(Remark(line, ".".join(filter(None, old_names.split(name))), advice))

    def _remark_unknown(self, node: libcst.Attribute) -> None:
        """Remarks an old name such as `tf.contrib.rnn.LSTMCell`, whose `tf` the program does not import."""
        parent = self._names.parent(node)
        if isinstance(parent, (libcst.Attribute, libcst.ImportAlias, libcst.ImportFrom)):
            return
        value, _, last = dotted_name(node).rpartition(".")
        if self._names.attributes.get(value):  # As in `self.rnn = tf.contrib.rnn`, which moves.
            name = f"{self._names.attributes[value]}.{last}"
            return None if old_names.home(name) else self._remark(node, name)
        first, _, rest = dotted_name(node).partition(".")
        if first not in ("tf", "tensorflow"):
            return
        name = f"tensorflow.{rest}"
        if old_names.home(name) or old_names.new_module(name) or old_names.remark(name):
            advice = f"nothing here says what `{first}` is: import it in this file, and run this again"
            self._remark(node, name, advice)
