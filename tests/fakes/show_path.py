"""Prints the path and the package of the process that runs it, as JSON."""

import json
import sys

import alspec

print(json.dumps([sys.path, alspec.__file__]))
