"""What a source is for extraction and the gate: a company's YAML makes them (``inputs/mapping.py``)."""
