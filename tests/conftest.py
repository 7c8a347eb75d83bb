"""How thoroughly the properties are tried: `fast` and `ci` say the same every time, `deep` draws anew.


Chosen by `HYPOTHESIS_PROFILE`, or by pytest's `--hypothesis-profile`, which wins.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

_SLOW = [HealthCheck.too_slow]

# A property that fails in these does so because of a change, and not because of the day.
settings.register_profile("fast", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True, suppress_health_check=_SLOW)
settings.register_profile("deep", max_examples=5000, deadline=None, print_blob=True, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
