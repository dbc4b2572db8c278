"""Releasing a night: figures far from the last accepted night hold it until a person answers."""
