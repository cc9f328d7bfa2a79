"""Analysis of untrusted torch.save pickles from their instructions, before any is executed.

The weights-only loader of torch runs no code from a file. But a few hundred bytes may name the same tuple twice at each
of thirty levels, which takes for ever to hash or print, or nest so deep that the process crashes.
"""

from __future__ import annotations

import pickletools
from typing import Any

from tessera.base import InputError

PICKLE_LIMIT = 16 * 1024**2
"""Bytes of instructions; the largest published file has less than one megabyte."""
_DEEPEST = 64
_EXPANDED = 2_000_000
"""Most values, counting each as often as it is referenced."""
_GLOBALS = {
    *("collections OrderedDict", "collections Counter", "collections defaultdict", "argparse Namespace"),
    *(f"torch._utils _rebuild_{what}" for what in ("tensor", "tensor_v2", "parameter", "parameter_with_state")),
    *("torch.nn.parameter Parameter", "torch Size", "torch device", "_codecs encode"),
    *("torch.storage UntypedStorage", "torch.storage TypedStorage"),
    *("builtins set", "__builtin__ set", "builtins complex", "__builtin__ complex"),
}
_PUSH_ATOM = {
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "GLOBAL"),
}
_PUSH_EMPTY = {"EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_JOINS = {"REDUCE": 2, "NEWOBJ": 2, "BUILD": 2, "APPEND": 2, "SETITEM": 3}
"""Instruction -> values that it takes from the stack; the first of them stays and contains the others."""
_MARKED = {"APPENDS", "SETITEMS", "ADDITEMS"}


class UnsafePickleError(InputError):
    """A pickle has other content than weights, or would take too much memory."""


def scan_pickle(data: bytes, *, most_values: int, known: frozenset[str] = frozenset(), times: int = 1) -> None:
    """Check a pickle's instructions without executing them.

    A storage may claim `most_values`, the loader replaces or accepts the globals `known`, and `times` multiplies the
    limits, for the log of a long run. Raises `UnsafePickleError` where the pickle names anything but weights and plain
    values, nests too deep, expands too much or claims too much; `ValueError`, `IndexError` or `KeyError` where it is
    not a pickle.
    """
    if len(data) > times * PICKLE_LIMIT:
        raise UnsafePickleError(f"its list of names has {len(data):,} bytes; at most {times * PICKLE_LIMIT:,} are read")
    scan = _Scan(most_values, known)
    for opcode, argument, _ in pickletools.genops(data):
        scan.step(opcode.name, argument)
    scan.check_size(times * _EXPANDED)


class _Scan:
    """The stack of the pickle machine: a number for each value, and the values that each contains."""

    def __init__(self, most_values: int, known: frozenset[str]) -> None:
        self._most, self._known = most_values, known
        self._holds: list[list[int]] = []
        self._atoms: dict[int, Any] = {}
        self._stack: list[int] = []
        self._marks: list[list[int]] = []
        self._memo: dict[int, int] = {}

    def step(self, name: str, argument: Any) -> None:
        """Apply one instruction."""
        stack = self._stack
        if name == "GLOBAL":
            self._check_global(str(argument))
        if name in _PUSH_ATOM or name in _PUSH_EMPTY:
            stack.append(self._new([], argument))
        elif name == "MARK":
            self._marks.append(stack)
            self._stack = []
        elif name == "TUPLE":
            items = self._pop_mark()
            self._stack.append(self._new(items))
        elif name in _TUPLES:
            count = _TUPLES[name]
            items = [stack.pop() for _ in range(count)][::-1]
            stack.append(self._new(items))
        elif name in _JOINS:
            others = [stack.pop() for _ in range(_JOINS[name] - 1)]
            if name in ("REDUCE", "NEWOBJ"):
                stack.append(self._new([stack.pop(), *others]))
            else:
                self._holds[stack[-1]].extend(others)
        elif name in _MARKED:
            items = self._pop_mark()
            self._holds[self._stack[-1]].extend(items)
        elif name == "BINPERSID":
            self._check_storage(stack[-1])
            stack.append(self._new([stack.pop()]))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[int(argument)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[int(argument)])
        elif name not in ("PROTO", "STOP"):
            raise UnsafePickleError(f"it holds more than weights (instruction {name})")

    def _new(self, holds: list[int], atom: Any = None) -> int:
        self._holds.append(holds)
        if atom is not None:
            self._atoms[len(self._holds) - 1] = atom
        return len(self._holds) - 1

    def _pop_mark(self) -> list[int]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _check_global(self, name: str) -> None:
        full = name.replace(" ", ".")
        if name in _GLOBALS or full in self._known:
            return
        module, _, what = name.partition(" ")
        if module == "torch" and (what.endswith("Storage") or _is_dtype(what)):
            return
        raise UnsafePickleError(f"it holds more than weights ({full})")

    def _check_storage(self, pid: int) -> None:
        """Check a storage, which is named as ("storage", type, key, device, number of values)."""
        parts = [self._atoms.get(part) for part in self._holds[pid]]
        count = parts[4] if len(parts) == 5 else None
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= self._most:
            raise UnsafePickleError(f"a storage claims {str(count)[:30]} values; its file has {self._most:,} bytes")

    def check_size(self, most: int) -> None:
        """Refuse too many values, each counted as often as it is referenced, or too deep nesting."""
        # values are contained by later ones, except in lists, dicts and built objects: repeat until all sizes are known
        sizes = [0] * len(self._holds)
        depths = [0] * len(self._holds)
        for root in range(len(self._holds)):
            if sizes[root]:
                continue
            open_values, path = [(root, 0)], {root}
            while open_values:
                value, at = open_values.pop()
                holds = self._holds[value]
                while at < len(holds) and (sizes[holds[at]] or holds[at] in path):
                    at += 1
                if at < len(holds):
                    open_values += [(value, at + 1), (holds[at], 0)]
                    path.add(holds[at])
                    if len(open_values) > _DEEPEST:
                        raise UnsafePickleError(f"its values are nested deeper than {_DEEPEST}")
                    continue
                path.discard(value)
                sizes[value] = 1 + sum(sizes[part] for part in holds)
                depths[value] = 1 + max((depths[part] for part in holds), default=0)
                if sizes[value] > most or depths[value] > _DEEPEST:
                    raise UnsafePickleError(
                        f"its values are more than {most:,}, each counted as often as it is named, or nested "
                        f"deeper than {_DEEPEST}"
                    )


def _is_dtype(name: str) -> bool:
    import torch

    return isinstance(getattr(torch, name, None), torch.dtype)
