"""A part of the register, for one of several crawls that share the work.

A site's domain alone decides in which part it is: councils on one website stay together, so that
it is asked by one crawl alone, and a council that comes or goes moves no other.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pipeline.domains import site_of

if TYPE_CHECKING:
    import pandas as pd

_FORM = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)


class ShardError(ValueError):
    """No part of a register can be meant; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` of `count`, from 1 on."""

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> Self:
        """The shard that a person writes as 3/16.

        Raises:
            ShardError: It is none of the parts that there are.
        """
        found = _FORM.fullmatch(text.strip())
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ShardError(f"'{text}' is no shard; write 3/16 for the third of sixteen")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def rows(self, register: pd.DataFrame) -> pd.DataFrame:
        """The rows of a register whose websites are in this part; those without one are in none."""
        domains = register["website"].map(site_of, na_action="ignore")
        numbers = domains.map({name: self._number(name) for name in domains.dropna().unique()})
        return register[numbers.eq(self.number)]

    def _number(self, domain: str) -> int:
        digest = hashlib.sha256(domain.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count + 1
