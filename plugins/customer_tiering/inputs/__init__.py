"""The input layer: the tables that a company's data is mapped onto, their types, and the mappings."""
