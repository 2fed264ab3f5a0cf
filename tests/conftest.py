"""How long the property tests look: briefly in `make test`, long in `make fuzz`."""

from hypothesis import settings

settings.register_profile("fuzz", max_examples=20_000, deadline=None)
