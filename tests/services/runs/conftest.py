"""The suite of rules explains its failures as a test does."""

import pytest

pytest.register_assert_rewrite("tests.services.runs.conformance")
