"""SARIF and JUnit documents, judged by other people's programs: the schema of SARIF 2.1.0, and a reader of JUnit.

Usage: documents.py FOLDER SCHEMA, with the .sarif and .xml files of forms::generated in the folder.
"""

import json
import pathlib
import sys

import jsonschema
import junitparser

folder, schema = pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text("utf-8-sig"))
validator = jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())
results = 0
sarif_files = sorted(folder.glob("*.sarif"))
for path in sarif_files:
    document = json.loads(path.read_text("utf-8"))
    errors = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]
    assert not errors, (path, errors[:5])
    results += sum(len(run["results"]) for run in document["runs"])

# The schema is awake: a level that SARIF does not have is an error.
document["runs"][0]["results"] = [{"level": "fatal", "message": {"text": "x"}}]
assert list(validator.iter_errors(document)), "a wrong level passes"

cases = 0
junit_files = sorted(folder.glob("*.xml"))
for path in junit_files:
    suites = junitparser.JUnitXml.fromfile(str(path))
    told = [suites.tests, suites.failures, suites.errors]
    found = [case for suite in suites for case in suite]
    kinds = [type(result).__name__ for case in found for result in case.result]
    assert told == [len(found), kinds.count("Failure"), kinds.count("Error")], (path, told, kinds)
    assert all(case.name and case.classname for case in found), path
    cases += len(found)

assert len(sarif_files) >= 300 and len(junit_files) >= 300 and results > 2000 and cases > 2000, (results, cases)
print(f"checked: {len(sarif_files)} SARIF files with {results} results, {len(junit_files)} JUnit files with {cases} cases")
