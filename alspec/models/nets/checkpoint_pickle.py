"""Reads tensors and plain containers out of a torch archive, and skips objects of other classes.

MMEngine's checkpoints hold its message hub, numpy's arrays and more beside the weights, which
torch's safe loader refuses. Here the opcodes of the archive's pickle are interpreted one by one:
containers, numbers, text and tensors are made, every other object becomes a `Skipped`. No module
is imported and nothing that the file names is ever called.
"""

from __future__ import annotations

import pickletools
import sys
import zipfile
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

_PLAIN_MODULES = frozenset(
    {"_codecs", "argparse", "array", "collections", "copy_reg", "copyreg", "datetime", "decimal",
     "enum", "fractions", "logging", "pathlib", "random", "types", "uuid"}
)  # fmt: skip
_PLAIN_BUILTINS = frozenset(
    {"bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "getattr", "int",
     "list", "object", "range", "set", "slice", "str", "tuple"}
)  # fmt: skip
_DTYPES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_MARK = object()


class UnreadablePickle(ValueError):
    """The archive is not one of torch's, or its pickle asks for something unsafe."""


@dataclass(frozen=True)
class Global:
    """A name that the pickle asks for; it is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Skipped:
    """Placeholder for an object of some class in the file."""

    of: str


@dataclass(frozen=True)
class _Storage:
    dtype: torch.dtype
    record: str


@dataclass
class ArchiveContent:
    """What an archive holds.

    Attributes:
        data: its pickle's object, of containers, numbers, text, tensors and `Skipped`.
        skipped: classes whose objects were left out, sorted.
    """

    data: object
    skipped: list[str]


def read_archive(path: Path) -> ArchiveContent:
    """Read a file that `torch.save` wrote since torch 1.6.

    Raises:
        UnreadablePickle: it is none, or asks for a function or class of Python's own library that
            no checkpoint needs; the message names it.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (n for n in archive.namelist() if n.count("/") == 1 and _is_pickle(n))
            prefix = name.removesuffix("data.pkl")
            order = f"{prefix}byteorder"
            if order in archive.namelist() and archive.read(order).decode() != sys.byteorder:
                raise UnreadablePickle("it was written on a machine of another byte order")
            machine = _Machine(lambda key: archive.read(f"{prefix}data/{key}"))
            data = machine.run(archive.read(name))
    except (UnreadablePickle, OSError):
        raise
    except Exception as err:
        raise UnreadablePickle(f"{type(err).__name__}: {err}") from err
    return ArchiveContent(data, sorted(machine.skipped))


def _is_pickle(member: str) -> bool:
    return member.endswith("/data.pkl")


@dataclass
class _Machine:
    """Interprets opcodes on a stack, as the unpickler does, without its powers.

    Attributes:
        record: the bytes of a storage, by its key.
        skipped: names of the classes of skipped objects.
    """

    record: Callable[[str], bytes]
    skipped: set[str] = field(default_factory=set)
    _stack: list[object] = field(default_factory=list)
    _memo: dict[int, object] = field(default_factory=dict)
    _storages: dict[str, Tensor] = field(default_factory=dict)

    def run(self, pickled: bytes) -> object:
        """The object that a pickle describes."""
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name == "STOP":
                return self._stack.pop()
            self._interpret(opcode.name, argument)
        raise UnreadablePickle("its pickle has no end")

    def _interpret(self, name: str, argument: object) -> None:
        if name in _IGNORED:
            return
        if name in _VALUES:
            self._stack.append(argument)
        elif name in _MADE:
            self._stack.append(_MADE[name]())
        elif name in _PUT:
            self._memo[argument if isinstance(argument, int) else len(self._memo)] = self._stack[-1]
        elif name in _GET and isinstance(argument, int):
            self._stack.append(self._memo[argument])
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        else:
            raise UnreadablePickle(f"its pickle uses {name}, which torch.save never writes")

    def _marked(self) -> list[object]:
        """What was pushed since the last mark, which is taken off."""
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
        items = self._stack[place + 1 :]
        del self._stack[place:]
        return items

    def _take(self, count: int) -> list[object]:
        items = self._stack[-count:]
        if len(items) < count or any(item is _MARK for item in items):
            raise UnreadablePickle("its pickle takes what is not there")
        del self._stack[-count:]
        return items

    def push_global(self, module: str, name: str) -> None:
        """Push a name, refused if no checkpoint has a use for it."""
        asked = Global(module, name)
        if not _may_be_named(asked):
            raise UnreadablePickle(f"it asks for `{asked}`")
        self._stack.append(asked)

    def global_in_text(self, argument: object) -> None:
        """GLOBAL: module and name, which pickletools joins by a space."""
        module, _, name = str(argument).partition(" ")
        self.push_global(module, name)

    def global_on_stack(self, _: object) -> None:
        """STACK_GLOBAL."""
        module, name = self._take(2)
        self.push_global(str(module), str(name))

    def mark(self, _: object) -> None:
        """MARK."""
        self._stack.append(_MARK)

    def pop(self, _: object) -> None:
        """POP."""
        self._stack.pop()

    def duplicate(self, _: object) -> None:
        """DUP."""
        self._stack.append(self._stack[-1])

    def tuple_of_marked(self, _: object) -> None:
        """TUPLE and FROZENSET."""
        self._stack.append(tuple(self._marked()))

    def list_of_marked(self, _: object) -> None:
        """LIST."""
        self._stack.append(self._marked())

    def tuple_of(self, count: int) -> None:
        """TUPLE1 to TUPLE3."""
        self._stack.append(tuple(self._take(count)))

    def dict_of_marked(self, _: object) -> None:
        """DICT."""
        made: dict[object, object] = {}
        _fill(made, self._marked())
        self._stack.append(made)

    def append(self, _: object) -> None:
        """APPEND."""
        (item,) = self._take(1)
        _extend(self._stack[-1], [item])

    def extend(self, _: object) -> None:
        """APPENDS and ADDITEMS."""
        items = self._marked()
        _extend(self._stack[-1], items)

    def set_item(self, _: object) -> None:
        """SETITEM."""
        pair = self._take(2)
        _fill(self._stack[-1], pair)

    def set_items(self, _: object) -> None:
        """SETITEMS."""
        items = self._marked()
        _fill(self._stack[-1], items)

    def build(self, _: object) -> None:
        """BUILD: an object's state; none of the containers needs one."""
        self._take(1)

    def call(self, _: object) -> None:
        """REDUCE and NEWOBJ: a tensor or an ordered dict, else the object is skipped."""
        called, arguments = self._take(2)
        self._stack.append(self._made(called, arguments))

    def call_with_keywords(self, _: object) -> None:
        """NEWOBJ_EX."""
        called, arguments, _ = self._take(3)
        self._stack.append(self._made(called, arguments))

    def _made(self, called: object, arguments: object) -> object:
        name = str(called)
        make = _CALLS.get(name)
        if make is not None and isinstance(called, Global):
            if not isinstance(arguments, (list, tuple)):
                raise UnreadablePickle(f"it calls `{called}` without arguments")
            return make(self, *arguments)
        self.skipped.add(name if isinstance(called, Global) else "an unnamed class")
        return Skipped(name)

    def storage(self, _: object) -> None:
        """BINPERSID: `("storage", type, key, device, values)`."""
        (about,) = self._take(1)
        kind, of, key, _, _ = about if isinstance(about, (list, tuple)) else (None,) * 5
        if kind != "storage" or not isinstance(of, Global) or of.module != "torch":
            raise UnreadablePickle("it refers to something else than a tensor's values")
        if of.name not in _DTYPES:
            raise UnreadablePickle(f"it has values of the type {of}")
        self._stack.append(_Storage(_DTYPES[of.name], str(key)))

    def tensor(
        self, storage: _Storage, offset: int, size: Sequence[int], stride: Sequence[int], *_: object
    ) -> Tensor:
        """`torch._utils._rebuild_tensor_v2`; torch refuses what does not lie in the storage."""
        if storage.record not in self._storages:
            values = bytearray(self.record(storage.record))
            made = torch.frombuffer(values, dtype=torch.uint8) if values else torch.empty(0).byte()
            self._storages[storage.record] = made
        values_of_type = self._storages[storage.record].view(storage.dtype)
        return values_of_type.as_strided(tuple(size), tuple(stride), offset)


def _parameter(_machine: _Machine, data: object, *_: object) -> object:
    return data


def _ordered(_machine: _Machine, *items: Iterable[Sequence[object]]) -> dict[object, object]:
    made: dict[object, object] = {}
    for pairs in items:
        for pair in pairs:
            _fill(made, list(pair))
    return made


def _size(_machine: _Machine, values: Iterable[int] = ()) -> tuple[int, ...]:
    return tuple(values)


def _bytes(_machine: _Machine, text: object = "", encoding: object = "latin1") -> bytes:
    """How bytes are written in pickles of protocol 2."""
    if encoding != "latin1":
        raise UnreadablePickle(f"it has bytes encoded as {encoding}")
    return str(text).encode("latin1")


_CALLS: Mapping[str, Callable[..., object]] = {
    "_codecs.encode": _bytes,
    "torch._utils._rebuild_tensor_v2": _Machine.tensor,
    "torch._utils._rebuild_tensor": _Machine.tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "collections.OrderedDict": _ordered,
    "torch.Size": _size,
}
_IGNORED = frozenset({"PROTO", "FRAME"})
_VALUES = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
     "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
     "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)  # fmt: skip
_MADE: Mapping[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
}
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_ACTIONS: Mapping[str, Callable[[_Machine, object], None]] = {
    "GLOBAL": _Machine.global_in_text,
    "STACK_GLOBAL": _Machine.global_on_stack,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "DUP": _Machine.duplicate,
    "TUPLE": _Machine.tuple_of_marked,
    "FROZENSET": _Machine.tuple_of_marked,
    "LIST": _Machine.list_of_marked,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "DICT": _Machine.dict_of_marked,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "ADDITEMS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "BUILD": _Machine.build,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "NEWOBJ_EX": _Machine.call_with_keywords,
    "BINPERSID": _Machine.storage,
}


def _may_be_named(asked: Global) -> bool:
    """False for what no checkpoint needs of Python's library; a bound method needs `getattr`.

    This refuses files that mean harm; what keeps them from doing any is that nothing is called.
    """
    root = asked.module.partition(".")[0]
    if root in ("builtins", "__builtin__"):
        return asked.name in _PLAIN_BUILTINS
    return root in _PLAIN_MODULES or root not in sys.stdlib_module_names


def _extend(target: object, items: list[object]) -> None:
    if isinstance(target, list):
        target.extend(items)


def _fill(target: object, items: list[object]) -> None:
    """Set pairs of a dict; keys that are no text or number are left out, with their values."""
    if len(items) % 2:
        raise UnreadablePickle("its pickle has a key without a value")
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, (str, int, float, bool, bytes, type(None))):
                plain: Hashable = key
                target[plain] = value
