"""Settings that every test runs with."""

from __future__ import annotations

from hypothesis import settings

# How long one example takes depends on who else uses the machine; pytest-timeout ends what hangs.
settings.register_profile("tradeline", deadline=None)
settings.load_profile("tradeline")
