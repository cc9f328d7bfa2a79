"""What a store holds and where: the manifest, STAC, coverage and its picture."""
