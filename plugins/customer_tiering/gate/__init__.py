"""The cleaning gate: Great Expectations decides, row by row, what may flow."""
