"""Crop types from declared fields: polygons with a crop, tested on fields that were not learnt from.

python examples/crop_types.py
"""

from __future__ import annotations

import geopandas
import numpy as np
import rasterio.features
import shapely

import tessera
from place import Place, read_map
from tessera.simulator import CLASSES, COLOURS

CROPS = CLASSES[:5]


def main(arguments: list[str] | None = None) -> float:
    """Run the task; returns the share of pixels of fields without labels that the map has right."""
    place = Place.from_arguments(__doc__, arguments)
    cover = place.truth("cover")

    # Labels: one field in three, as farmers declare them. Real ones come in a file, such as fields.gpkg.
    tilled = np.where(cover < len(CROPS), cover, 255).astype(np.uint8)
    transform = rasterio.Affine(*place.window.grid.transform)
    shapes = rasterio.features.shapes(tilled, tilled != 255, transform=transform)
    geometry, codes = zip(*((shapely.geometry.shape(shape), int(code)) for shape, code in shapes), strict=True)
    fields = geopandas.GeoDataFrame({"crop": [CROPS[code] for code in codes]}, geometry=list(geometry))
    fields = fields.set_crs(place.window.grid.crs)
    declared = fields[fields.area > 2000].sample(frac=1 / 3, random_state=0)

    # Pixels of one field stay together; blocks of land keep neighbours apart, too.
    colours = {name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in zip(CROPS, COLOURS, strict=False)}
    known = {name: colours[name] for name in declared["crop"].unique()}
    head = tessera.fit(place.store, declared, "crop", head="forest", year=2023, colours=known)
    print(head.report())
    head.save(place.folder / "crop_types.json")

    # The map. Where no crop grows it names the crop that is most alike: mask it with a layer of fields.
    path = head.map(place.store, place.window, out=place.folder / "crop_types.tif")
    crops = np.full(256, 255, np.uint8)
    crops[list(head.values)] = [CROPS.index(name) for name in head.classes]
    mapped = np.where(tilled == 255, 255, crops[read_map(path)]).astype(np.uint8)
    learnt = rasterio.features.rasterize(declared.geometry, cover.shape, transform=transform).astype(bool)
    place.draw("tasks-crop-types", [("map, within fields", mapped), ("truth", tilled)], list(colours.items()))
    right = float((mapped == tilled)[(tilled != 255) & ~learnt].mean())
    print(f"{right:.1%} of the pixels of other fields are mapped as they are")
    return right


if __name__ == "__main__":
    main()
