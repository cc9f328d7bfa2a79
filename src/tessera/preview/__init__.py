"""What a store looks like from afar: mean embeddings of larger pixels, and pictures."""
