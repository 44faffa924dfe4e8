"""What pickles the objects that `multiprocessing` can send and plain pickle cannot."""

from __future__ import annotations

import copyreg
from multiprocessing.reduction import ForkingPickler
from typing import Any


class _DispatchTable:
    """Both tables, as they are at the moment of use: programs may register more types at any time."""

    def __getitem__(self, cls: type) -> Any:
        reducers: dict[type, Any] = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
        found = reducers.get(cls)
        return copyreg.dispatch_table[cls] if found is None else found


DISPATCH_TABLE = _DispatchTable()
