"""Generated inputs: the spec differs from libpq in no value, and in nothing that is rejected.

A few hundred cases each; ``FUZZ_CASES=4000 pytest tests/resolution/test_fuzz.py`` runs more.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.resolution import cases
from tests.resolution.comparison import compare
from tests.resolution.oracle import Inputs

thoroughly = settings(
    max_examples=int(os.environ.get("FUZZ_CASES", "100")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
pytestmark = [pytest.mark.subprocess, pytest.mark.timeout(3600)]


@thoroughly
@given(st.builds(Inputs, dsn=cases.uris()))
def test_uris_mean_what_libpq_reads_in_them(home, inputs):
    compare(inputs, home)


@thoroughly
@given(st.builds(Inputs, dsn=cases.keyword_strings()))
def test_keyword_strings_mean_what_libpq_reads_in_them(home, inputs):
    compare(inputs, home)


@thoroughly
@given(st.builds(Inputs, dsn=cases.strings()))
def test_damaged_strings_are_rejected_if_libpq_rejects_them(home, inputs):
    compare(inputs, home)


@thoroughly
@given(st.builds(Inputs, environment=cases.variables(), dotenv=cases.variables()))
def test_variables_mean_the_same_in_an_env_file(home, inputs):
    compare(inputs, home)


@thoroughly
@given(
    st.builds(
        Inputs,
        environment=cases.variables(services=True, max_size=2),
        dsn=st.sampled_from([None, "service=jobs", "postgresql://?service=jobs", "host=/nowhere"]),
        service_file=cases.service_files(),
    )
)
def test_services_complete_a_connection_as_in_libpq(home, inputs):
    compare(inputs, home)


@thoroughly
@given(
    st.builds(
        Inputs,
        keywords=st.fixed_dictionaries(
            {},
            optional={
                "host": cases.value_of("host"),
                "hostaddr": cases.value_of("hostaddr"),
                "port": st.sampled_from(["5432", "5433", "", "+5432", "5432 ", "5432,5433"]),
                "dbname": cases.TEXT,
                "user": st.sampled_from(["jobs", "", "a:b\\c"]),
            },
        ),
        password_file=cases.password_files(),
    )
)
def test_the_driver_finds_the_password_that_libpq_finds(home, inputs):
    compare(inputs, home)


@thoroughly
@given(cases.everything())
def test_all_sources_together_mean_what_libpq_makes_of_them(home, inputs):
    compare(inputs, home)
