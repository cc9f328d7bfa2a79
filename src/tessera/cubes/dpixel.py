"""The reference d-pixel folder: seven .npy files, without CRS, in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, checked, new_folder

from .cube import S1_BANDS, S2_BANDS, PixelCube
from .dates import stated_time

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "bands": ("u2", ("T", "H", "W", str(len(S2_BANDS)))),
    "masks": ("u1", ("T", "H", "W")),
    "doys": ("u2", ("T",)),
    "sar_ascending": ("i2", ("T", "H", "W", str(len(S1_BANDS)))),
    "sar_ascending_doy": ("i2", ("T",)),
    "sar_descending": ("i2", ("T", "H", "W", str(len(S1_BANDS)))),
    "sar_descending_doy": ("i2", ("T",)),
}
"""File stem -> dtype and dimensions, as the published stackers write them."""


def is_dpixel(path: Path) -> bool:
    """Whether a folder looks like a d-pixel folder, whole or not."""
    return path.is_dir() and any((path / f"{name}.npy").exists() for name in _FILES)


def open_dpixel(
    path: str | Path,
    *,
    year: int | None = None,
    period: object = None,
    dates: Mapping[str, Sequence[dt.date | str]] | None = None,
) -> PixelCube:
    """Open a d-pixel folder; arrays are mapped, not read.

    Parameters
    ----------
    path : folder of bands.npy, masks.npy, doys.npy, sar_ascending.npy, sar_ascending_doy.npy and the descending pair
    year : calendar year of its days
    period : in place of a year, such as "2020-11/2021-10" (see `tessera.geo.parse_period`); a day of the year is then
        the one that lies in it, so that a season over a new year has its true dates
    dates : "s2", "s1_asc", "s1_desc" -> the date of each observation, where a period of more than a year has a day of
        the year twice

    Raises
    ------
    InputError
        A file is missing, short, no .npy file, or of another dtype or shape than the others ask for; its days of the
        year do not fit what is given.
    """
    folder = Path(path)
    missing = [f"{name}.npy" for name in _FILES if not (folder / f"{name}.npy").is_file()]
    if missing:
        raise InputError(f"d-pixel folder {folder} lacks {', '.join(missing)}; expected all seven files")
    arrays = {name: _map_npy(folder / f"{name}.npy", dtype) for name, (dtype, _) in _FILES.items()}
    for name, (_, dims) in _FILES.items():
        shape = arrays[name].shape
        fixed = all(not dim.isdigit() or shape[axis] == int(dim) for axis, dim in enumerate(dims) if axis < len(shape))
        if len(shape) != len(dims) or not fixed:
            raise InputError(f"{folder / name}.npy has shape {shape}; expected ({', '.join(dims)})")
    provenance: dict[str, Any] = {"source": "d-pixel folder", **stated_time(year, period, dates)}
    try:
        return PixelCube(
            s2=arrays["bands"],
            s2_mask=arrays["masks"],
            s2_doy=np.asarray(arrays["doys"]).astype(np.int16),
            s1_asc=arrays["sar_ascending"],
            s1_asc_doy=np.asarray(arrays["sar_ascending_doy"]),
            s1_desc=arrays["sar_descending"],
            s1_desc_doy=np.asarray(arrays["sar_descending_doy"]),
            provenance=provenance,
        )
    except InputError as error:
        raise InputError(f"d-pixel folder {folder}: {error}") from None


def _map_npy(path: Path, dtype: str) -> NDArray[Any]:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, found = read(file)
            start = file.tell()
    except (ValueError, SyntaxError, EOFError, TypeError) as error:
        raise InputError(f"{path} is not a whole .npy file: {error}") from None
    if found.hasobject or found != np.dtype(dtype):
        raise InputError(f"{path} holds {found}; expected {np.dtype(dtype).name}")
    if fortran and len(shape) > 1:
        raise InputError(f"{path} is in Fortran order; expected C order")
    count = 1
    for side in shape:
        count *= int(side)
    if any(side < 0 for side in shape) or size != start + count * found.itemsize:
        raise InputError(
            f"{path} has {size} bytes; its header claims shape {shape}, which is {start + count * found.itemsize}"
        )
    if count == 0:
        return np.zeros(shape, dtype=found)
    return np.memmap(path, dtype=found, mode="r", offset=start, shape=shape)


@checked
def export_dpixel(cube: PixelCube, path: str | Path) -> Path:
    """Write a cube as a d-pixel folder of the reference pipeline. The folder appears whole or not at all.

    Parameters
    ----------
    cube : in memory or on disk. A d-pixel folder has no place for its grid
    path : a folder that does not exist yet

    Returns
    -------
    The path.

    Raises
    ------
    InputError
        The path exists.

    Examples
    --------
    >>> import tessera
    >>> folder = tessera.export_dpixel(tessera.open_cube("cube.zarr"), "dpixel")
    >>> sorted(file.name for file in folder.iterdir())[:3]
    ['bands.npy', 'doys.npy', 'masks.npy']
    """
    folder = Path(path)
    with new_folder(folder, "the d-pixel folder") as part:
        stacks = {
            "bands": cube.s2,
            "masks": cube.s2_mask,
            "sar_ascending": cube.s1_asc,
            "sar_descending": cube.s1_desc,
        }
        days = {"doys": cube.s2_doy, "sar_ascending_doy": cube.s1_asc_doy, "sar_descending_doy": cube.s1_desc_doy}
        for name, doy in days.items():
            _save(part / f"{name}.npy", doy.astype(_FILES[name][0]))
        for name, stack in stacks.items():
            shape = tuple(int(side) for side in stack.shape)
            if 0 in shape:
                _save(part / f"{name}.npy", np.zeros(shape, dtype=_FILES[name][0]))
                continue
            target = np.lib.format.open_memmap(part / f"{name}.npy", mode="w+", dtype=_FILES[name][0], shape=shape)
            for start, stop in cube.row_blocks(128):
                target[:, start:stop] = stack[:, start:stop]
            target.flush()
            del target
    return folder


def _save(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
