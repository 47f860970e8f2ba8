"""What the names of a program mean: its imports and assignments decide that, scope by scope. It needs libcst."""

from __future__ import annotations

from typing import Any

import libcst
from libcst import matchers, metadata

from stacked_lstm import missing_names
from stacked_lstm.commands import old_names
from stacked_lstm.commands.python_syntax import dotted_name

_PACKAGES = ("tensorflow", "stacked_lstm")


class ProgramNames:
    """The complete names of the dotted names in a program, and the places of its nodes.

    After `import tensorflow as tf` and `rnn = tf.contrib.rnn`, the complete name of `rnn.LSTMCell` is
    `tensorflow.contrib.rnn.LSTMCell`. Only names of TensorFlow and of this package have one.

    Attributes:
      all: set of all names, without their dots.
      attributes: dictionary from an attribute to which the program assigns, such as `self.rnn`, to the complete name
        of the value, which may be empty.
      imports: dictionary from each name at the top of the program to the complete name of what it is there.
      starred: dictionary from each module of TensorFlow that the program has from the `*` of a module of cells, under
        the program's name, to its complete name.
    """

    def __init__(self, wrapper: metadata.MetadataWrapper) -> None:
        """Initializes the names of the program that `wrapper` has."""
        self._scopes: Any = wrapper.resolve(metadata.ScopeProvider)
        self._parents: Any = wrapper.resolve(metadata.ParentNodeProvider)
        self._positions: Any = wrapper.resolve(metadata.PositionProvider)
        top = self._scopes[wrapper.module]
        nodes: Any = matchers.findall(wrapper.module, matchers.Name())
        self.all = {node.value for node in nodes if node.value}
        self.starred = self._find_starred(wrapper.module)
        self.imports = {name: self._value(binding, name, frozenset()) for name in self.all for binding in top[name]}
        to_attribute = matchers.Assign(targets=[matchers.AssignTarget(matchers.Attribute())])
        statements: Any = matchers.findall(wrapper.module, to_attribute)
        self.attributes = {dotted_name(one.targets[0].target): self.complete(one.value)[1] for one in statements}

    def _find_starred(self, module: libcst.Module) -> dict[str, str]:
        stars: Any = matchers.findall(module, matchers.ImportFrom(names=matchers.ImportStar()))
        if not any(star.module and old_names.has_tensorflow_modules(dotted_name(star.module)) for star in stars):
            return {}
        accesses = [access for scope in {*self._scopes.values()} if scope for access in scope.accesses]
        unbound = {dotted_name(access.node).partition(".")[0] for access in accesses if not access.referents}
        return {name: complete for name, complete in missing_names.MODULES.items() if name in unbound}

    def line(self, node: libcst.CSTNode) -> int:
        """Returns the line of a node, from 1."""
        return self._positions[node].start.line

    def parent(self, node: libcst.CSTNode) -> libcst.CSTNode:
        """Returns the node that a node is a part of."""
        return self._parents[node]

    def is_global(self, node: libcst.CSTNode) -> bool:
        """Returns whether a statement is outside functions and classes."""
        return isinstance(self._scopes[node], metadata.GlobalScope)

    def complete(self, node: libcst.CSTNode, seen: frozenset = frozenset()) -> tuple[str, str]:
        """Returns the complete names of the first part of a dotted name, and of all of it; empty if unknown.

        Args:
          node: the dotted name.
          seen: assignments that depend on it.
        """
        dotted, scope = dotted_name(node), self._scopes.get(node)
        if not dotted or not scope:
            return "", ""
        first, _, rest = dotted.partition(".")
        values = [self._value(assignment, first, seen) for assignment in scope[first] if assignment not in seen]
        values = values or [self.starred.get(first, "")]
        known = sorted(value for value in values if value.split(".")[0] in _PACKAGES)
        if not known:
            return "", ""
        return known[0], f"{known[0]}.{rest}" if rest else known[0]

    def _value(self, assignment: Any, name: str, seen: frozenset) -> str:
        """Returns the complete name of what an import or an assignment such as `rnn = tf.contrib.rnn` binds."""
        if isinstance(assignment, metadata.ImportAssignment):
            bound = min(qualified.name for qualified in assignment.get_qualified_names_for(name))
            return old_names.tensorflow_module(bound) or bound
        statement = getattr(assignment, "node", None)
        for _ in range(2):  # From the name to the target of the assignment, and from there to the statement.
            statement = self._parents.get(statement) if statement else None
        if isinstance(statement, libcst.Assign) and isinstance(statement.value, (libcst.Attribute, libcst.Name)):
            return self.complete(statement.value, seen | {assignment})[1]
        return ""

    def is_needless_assignment(self, node: libcst.CSTNode) -> bool:
        """Returns whether a statement such as `contrib = tf.contrib` is needless; see `is_needless`."""
        if not isinstance(node, libcst.Assign) or len(node.targets) > 1:
            return False
        bound = dotted_name(node.targets[0].target)
        return "." not in bound and self.is_needless(node, self.complete(node.value)[1], bound)

    def is_needless(self, node: libcst.CSTNode, name: str, bound: str) -> bool:
        """Returns whether a statement binds a module of tf.contrib to a name whose every use moves to another module.

        A module that moves itself is needed. So is one that is never used, except tf.contrib.

        Args:
          node: the statement.
          name: the complete name of what it binds.
          bound: the name to which it binds that.
        """
        scope = self._scopes.get(node)
        parts = ".".join(old_names.split(name)).split(".")
        if not scope or parts[:2] != ["tensorflow", "contrib"] or self._moves_itself(name):
            return False
        assignments = list(scope[bound])
        uses = assignments[0].references
        return len(assignments) == 1 and bool(uses or parts[2:] == []) and all(self._moves(use.node) for use in uses)

    @staticmethod
    def _moves_itself(name: str) -> bool:
        return bool(old_names.new_module(name) or old_names.home(name) or old_names.tensorflow_name(name))

    def _moves(self, node: Any) -> bool:
        """Returns whether a name, or an attribute of it, moves to another module."""
        while True:
            name = self.complete(node)[1]
            if old_names.home(name) or old_names.tensorflow_name(name):
                return True
            parent = self.parent(node)
            if not isinstance(parent, libcst.Attribute) or parent.value is not node:
                return bool(old_names.new_module(name))
            node = parent
