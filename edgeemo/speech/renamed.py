"""Old names of functions' arguments, which still work and warn."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from edgeemo.errors import BadInput

P = ParamSpec("P")
R = TypeVar("R")


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take old keywords too, with a DeprecationWarning.

    Args:
        names: the new keyword by the old one.

    Raises:
        BadInput: from the function, if an old keyword stands beside its new name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **given: P.kwargs) -> R:
            for old in names.keys() & given.keys():
                new = names[old]
                if new in given:
                    raise BadInput(f"{old} is the old name of {new}; give {new} alone")
                warnings.warn(f"{old} is {new} now", DeprecationWarning, stacklevel=2)
                given[new] = given.pop(old)
            return function(*args, **given)

        return call

    return decorate
