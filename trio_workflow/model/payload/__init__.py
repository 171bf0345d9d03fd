"""Payloads: Python values as canonical JSON text, and back as the declared type.

Read in this order:

- codec.py: dumps and loads, the two ends. It parses and prints JSON.
- write.py, scalar_forms.py: a value becomes plain JSON data by its runtime class. The forms are listed there.
- parse.py: text becomes plain JSON data.
- types.py, fields.py: what an annotation means: its bare form, its name, the fields of a class.
- hooks.py: a type becomes its shape (shape.py), above all the hook that reads it.
- scalar_shapes.py, structure_shapes.py: which type has which shape.
- scalars.py, containers.py, classes.py, unions.py with tags.py: the hooks.
- check.py: whether a type can be read at all, asked when a package is registered.
- texts.py, details.py: texts and details of failures, which must be storable whatever they are.
- problem.py: what is wrong and where; every hook and writer raises it.

Two laws hold for a value v of the declared type T: ``loads(dumps(v), T) == v``, and the value read back
writes the same text. They end where a type does not say what its values are: a field declared as a base class
loses what a subclass adds, Sequence is read as a list and Set as a frozenset, dicts keep no order.
"""

from .check import check_type
from .codec import dumps, loads
from .details import clean_details
from .problem import MAX_DEPTH
from .texts import clean_text, require_name
from .types import type_name

__all__ = [
    "MAX_DEPTH",
    "check_type",
    "clean_details",
    "clean_text",
    "dumps",
    "loads",
    "require_name",
    "type_name",
]
