"""A device that is far away: a GPU for tests, on machines without one.

Tensors on it have values, which a wrapper holds on the CPU, and say that they are on torch's ``meta`` device, so that
code takes the ways of a device that is no CPU. What a GPU refuses is refused: an operation between tensors here and
there, unless the one here has no axes or is an index. What makes the processor wait for a GPU is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

FAR = torch.device("meta")
_aten = torch.ops.aten
# Sizes of their results, or their results themselves, are read by the processor.
_READ = {
    _aten._local_scalar_dense.default,
    _aten.nonzero.default,
    _aten.bincount.default,
    _aten.masked_select.default,
    _aten._unique2.default,
    _aten.unique_consecutive.default,
}
_MAY_INDEX = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default}
_AT_ONCE = {_aten._conj.default: _aten._conj_physical.default, _aten._neg_view.default: _aten.neg.default}  # not lazily
_COPIES = {_aten._to_copy.default, _aten.copy_.default}


class FarTensor(Tensor):
    """A tensor on the far device; `near` are its values."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> FarTensor:
        far = Tensor._make_wrapper_subclass(
            cls, near.shape, strides=near.stride(), storage_offset=near.storage_offset(), dtype=near.dtype, device=FAR
        )
        far.near = near
        return far

    def __repr__(self, **_: Any) -> str:
        return f"FarTensor({self.near})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, None)


class FarDevice(TorchDispatchMode):
    """While it is in force, ``device="meta"`` is the far device.

    Attributes
    ----------
    waits : Counter
        Operations that make the processor wait for the device, by name.
    uploads : Counter
        Copies to the device, by their number of values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.uploads: Counter[int] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, self)


def _run(func: Any, args: Any, kwargs: dict[str, Any], counting: FarDevice | None) -> Any:
    given = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    far = [value for value in given if isinstance(value, FarTensor)]
    to_far = kwargs.get("device") is not None and torch.device(kwargs["device"]) == FAR
    to_near = kwargs.get("device") is not None and not to_far
    if not far and not to_far:
        return func(*args, **kwargs)
    if func not in _COPIES:
        _require_one_place(func, args, given, far)
    if counting is not None:
        _count(counting, func, args, given, far, to_far=to_far, to_near=to_near)
    values = tree_map(lambda value: value.near if isinstance(value, FarTensor) else value, (args, kwargs))
    if "device" in values[1]:
        values[1]["device"] = torch.device("cpu")
    found = _AT_ONCE.get(func, func)(*values[0], **values[1])
    if to_near or (func is _aten.copy_.default and not isinstance(args[0], FarTensor)):
        return args[0] if func is _aten.copy_.default else found
    known = {id(value.near): value for value in far}  # of an operation in place, the tensor itself

    def at_its_place(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return known[id(value)] if id(value) in known else FarTensor(value)

    return tree_map(at_its_place, found)


def _require_one_place(func: Any, args: Any, given: list[Tensor], far: list[FarTensor]) -> None:
    """As CUDA: a tensor on the CPU may take part where it has no axes, or as an index."""
    may_be_here = {id(index) for index in args[1] if index is not None} if func in _MAY_INDEX else set()
    for value in given:
        assert value.device != FAR or isinstance(value, FarTensor), "torch has made this tensor itself"
        if isinstance(value, FarTensor) or value.dim() == 0:
            continue
        if id(value) not in may_be_here and far:
            raise RuntimeError(f"{func}: expected all tensors on one device, but {tuple(value.shape)} is on the CPU")


def _count(
    counting: FarDevice, func: Any, args: Any, given: list[Tensor], far: list[FarTensor], *, to_far: bool, to_near: bool
) -> None:
    is_copy_down = func is _aten.copy_.default and far and not isinstance(args[0], FarTensor)
    if (to_near and far) or is_copy_down:
        counting.waits["copy to the CPU"] += 1
    elif func in _READ:
        counting.waits[func.__name__] += 1
    elif func in _MAY_INDEX and any(index is not None and index.dtype == torch.bool for index in args[1]):
        counting.waits["index by a mask"] += 1
    here = [value for value in given if not isinstance(value, FarTensor) and value.numel() > 1]
    if here and (to_far or far) and not is_copy_down:
        counting.uploads[sum(value.numel() for value in here)] += 1


class _Made(TorchFunctionMode):
    """What torch does without asking anyone: tensors of numbers and of lists in an index, and lists of tensors."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.tolist:
            return args[0].cpu().tolist() if isinstance(args[0], FarTensor) else func(*args)
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (args[0], tuple(map(_listed, index)), *args[2:])
        device = kwargs.get("device")
        if func is Tensor.new_tensor and device is None:
            device = args[0].device
            func, args, kwargs["dtype"] = torch.tensor, args[1:], kwargs.get("dtype") or args[0].dtype
        if func not in (torch.tensor, torch.as_tensor) or device is None or torch.device(device) != FAR:
            return func(*args, **kwargs)
        return func(*args, **{**kwargs, "device": None}).to(FAR)


def _listed(index: Any) -> Any:
    if not isinstance(index, list | np.ndarray):
        return index
    return torch.as_tensor(index) if len(index) else torch.zeros(0, dtype=torch.int64)


@contextmanager
def far_device() -> Iterator[FarDevice]:
    """A block in which ``"meta"`` is the far device; afterwards, operations on its tensors are no longer counted."""
    with FarDevice() as device, _Made():
        yield device
