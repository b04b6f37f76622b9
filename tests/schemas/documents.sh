#!/usr/bin/env bash
# Runs each command with `--output json` on the twin, and compares what it prints with the published schemas.
#
#   tests/schemas/documents.sh PATH-OF-LOCKSTEP PATH-OF-CHECK-JSONSCHEMA
set -euo pipefail
lockstep=$1 validator=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
count=0
# Keeps the document of a command, whatever its exit code: `keep SCHEMA COMMAND ARGUMENT …`.
keep() {
  count=$((count + 1))
  "$lockstep" "${@:2}" --output json >"$folder/$1.$count.json" 2>/dev/null || true
  test -s "$folder/$1.$count.json" || { echo "no document: ${*:2}"; exit 1; }
}
printf 'lockstep: v1\nstack: "acme\n' >"$folder/broken.yaml"
for manifest in manifests/*.yaml; do
  world="$folder/$(basename "$manifest").world"
  sed 's/^stack: .*/stack: No Name/' "$manifest" >"$folder/wrong.yaml"
  keep validate validate "$manifest"
  keep validate validate "$folder/wrong.yaml"
  keep validate validate "$folder/broken.yaml"
  keep plan plan "$manifest" --twin="$world"
  keep plan plan "$manifest" --twin="$world" --explain
  keep plan plan "$manifest" --missing-as-unknown
  keep plan plan "$folder/none.yaml"
  keep plan plan --no-such-option
  keep drift drift "$manifest" --twin="$world"
  keep apply apply "$manifest" --twin="$world"
  "$lockstep" apply "$manifest" --twin="$world" --yes --audit "$folder/audit" >/dev/null 2>&1
  keep drift drift "$manifest" --twin="$world"
  keep apply apply "$manifest" --twin="$world" --yes
  keep plan plan "$manifest" --twin="$world" --destroy
  keep apply destroy "$manifest" --twin="$world" --yes
done
while read -r line; do
  count=$((count + 1))
  printf '%s' "$line" >"$folder/events.$count.json"
done <"$folder/audit"
for name in validate plan drift apply events; do
  "$validator" --schemafile "schemas/$name.json" "$folder/$name".*.json >/dev/null ||
    "$validator" --schemafile "schemas/$name.json" "$folder/$name".*.json
done
echo "checked: $count documents and lines of audits"
