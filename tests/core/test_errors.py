"""Errors tell what happened and what to do; warnings and errors have one base each."""

import pickle

import pytest

from eucentric.core import (
    DataWarning,
    EucentricError,
    EucentricWarning,
    FormatError,
    FormatWarning,
    InputError,
    OutputError,
)


@pytest.mark.parametrize("kind", [FormatError, InputError, OutputError])
def test_an_error_says_what_happened_and_what_to_do(kind: type[EucentricError]) -> None:
    error = kind("ts01.mrc: 40 images for 41 angles.", "Give the right .rawtlt.")
    assert isinstance(error, EucentricError)
    assert str(error) == "ts01.mrc: 40 images for 41 angles. Give the right .rawtlt."
    assert (error.what, error.fix) == ("ts01.mrc: 40 images for 41 angles.", "Give the right .rawtlt.")


def test_an_error_without_a_remedy_is_one_sentence() -> None:
    assert str(InputError("ts01.mrc: all images are blank.")) == "ts01.mrc: all images are blank."


def test_an_error_comes_whole_out_of_another_process() -> None:
    error = pickle.loads(pickle.dumps(InputError("ts01.mrc: all images are blank.", "Look at the camera.")))
    assert isinstance(error, InputError)
    assert str(error) == "ts01.mrc: all images are blank. Look at the camera."


def test_warnings_can_be_filtered_together() -> None:
    assert issubclass(FormatWarning, EucentricWarning)
    assert issubclass(DataWarning, EucentricWarning)
    assert issubclass(EucentricWarning, UserWarning)
    assert not issubclass(FormatWarning, DataWarning)
