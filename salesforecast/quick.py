"""Imported before altair or anything of Jupyter: it leaves out what costs a second and is not needed.

`rfc3987_syntax`, which jsonschema pulls in by way of jupyter-events, compiles a grammar at import. jsonschema can do
without it, and does when it is not there. This is a pytest plugin too (`-p salesforecast.quick`), for a conftest comes
too late.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
