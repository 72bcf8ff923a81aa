# SPDX-License-Identifier: Apache-2.0
from hypothesis import HealthCheck, settings

# The seed comes from the command line and is printed there; what is drawn is printed on failure.
settings.register_profile("floydattn", deadline=None, database=None, print_blob=True,
                          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.load_profile("floydattn")


def pytest_report_header(config):
    return f"hypothesis seed {config.getoption('--hypothesis-seed')}"
