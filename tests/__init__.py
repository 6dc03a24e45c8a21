"""The tests of pixelboot; every one runs under pytest and under trial."""

import os

from hypothesis import HealthCheck, settings

# One seed for everybody: a failure in CI is the same failure at home.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
# Under the second runner it is seen that the tests run there, too; what they find, they find under the first.
settings.register_profile("brief", parent=settings.get_profile("repeatable"), max_examples=20)
settings.register_profile("explore", parent=settings.get_profile("repeatable"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
