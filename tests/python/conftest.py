# SPDX-License-Identifier: Apache-2.0
from hypothesis import HealthCheck, settings

settings.register_profile("floydattn", deadline=None, database=None, print_blob=True,
                          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])  # fmt: skip
settings.load_profile("floydattn")
