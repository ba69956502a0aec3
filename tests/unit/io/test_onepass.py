"""Files that are hashed while they are written."""

import hashlib

import h5py
import numpy as np
import pytest

from dassim.io.onepass import SMALL, write_file
from tests.models.states import same_bits

LARGE = SMALL // 8 + 1


def arrays():
    rng = np.random.default_rng(0)
    return {
        "large": rng.normal(size=(3, LARGE)),
        "small": rng.normal(size=7),
        "strided": rng.normal(size=(LARGE, 4))[:, ::2],
        "fortran": np.asfortranarray(rng.normal(size=(40, LARGE))),
        "flags": rng.random((8, LARGE)) > 0.5,
        "single": rng.normal(size=(2, LARGE)).astype("f4"),
        "counts": rng.integers(0, 9, (1, LARGE)),
        "number": np.float64(3.5),
        "none": np.zeros((0, LARGE)),
    }


def test_the_file_holds_the_arrays_and_has_its_hash(tmp_path):
    path = tmp_path / "a.h5"
    attributes = {name: {"units": name} for name in arrays()}
    seal = write_file(path, arrays(), attributes, {"schema": "s"})
    content = path.read_bytes()
    assert seal == (len(content), hashlib.sha256(content).hexdigest())
    with h5py.File(path) as file:
        assert file.attrs["schema"] == "s"
        assert list(file) == sorted(arrays())
        for name, array in arrays().items():
            assert same_bits(file[name][()], array)
            assert file[name].attrs["units"] == name


def test_equal_arrays_make_equal_files(tmp_path):
    attributes = {name: {} for name in arrays()}
    one, other = (
        write_file(tmp_path / name, arrays(), attributes, {}) for name in ("a.h5", "b.h5")
    )
    assert one == other


@pytest.mark.parametrize("sizes", [[2**18], [2**10] * 256], ids=["directly", "by HDF5"])
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_takes_no_more_is_an_error(disk, sizes):
    """Of 1 MiB, when contents of 2 MiB go to the file."""
    arrays = {f"array {number}": np.zeros(size) for number, size in enumerate(sizes)}
    with pytest.raises(OSError, match="No space left on device"):
        write_file(disk / "full.h5", arrays, {name: {} for name in arrays}, {})
