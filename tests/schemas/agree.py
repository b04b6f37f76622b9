"""Compares what the program says of a corpus of manifests with what Python's jsonschema says by our schema.

    cargo run --example schema_corpus -- 10000 | python tests/schemas/agree.py schemas/manifest.json
"""

import collections
import json
import sys

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
right = collections.Counter()
wrong = []
for number, line in enumerate(sys.stdin):
    one = json.loads(line)
    fits = validator.is_valid(one["manifest"])
    # A mistake that a schema cannot say is accepted by it, or its reason is not true any more.
    wanted = one["accepted"] or one["unsaid"] is not None
    if fits != wanted or one["accepted"] != (one["mistake"] is None):
        wrong.append(f"{number}: {one['mistake']}: program {one['accepted']}, schema {fits}")
    else:
        right["of them refused by both" if not fits else "accepted by both" if one["accepted"] else "that no schema can say"] += 1
for line in wrong[:20]:
    print(f"wrong: {line}")
print(f"checked: {sum(right.values())} manifests agree: {dict(right)}; {len(wrong)} do not")
sys.exit(1 if wrong or not right else 0)
