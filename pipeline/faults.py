"""Tell a fault in what a person gave, which is told in a sentence, from a defect of the program."""

from __future__ import annotations

OUR_PACKAGES = ("pipeline", "spiders", "hub")


def is_ours(error: BaseException) -> bool:
    """Whether one of our modules named the fault: its class is theirs; any other is a defect."""
    return type(error).__module__.partition(".")[0] in OUR_PACKAGES
