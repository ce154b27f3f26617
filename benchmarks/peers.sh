#!/usr/bin/env bash
# The peers' own environment: statsforecast needs pandas below 3, so it cannot live beside the package.
#
#     benchmarks/peers.sh            makes benchmarks/.venv-peers
#     PYTHON=python3.12 benchmarks/peers.sh
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
"${PYTHON:-python3}" -m venv "$here/.venv-peers"
"$here/.venv-peers/bin/pip" install --quiet --disable-pip-version-check "statsforecast==2.1.1" "pandas<3"
"$here/.venv-peers/bin/python" -c "import statsforecast, pandas; print('statsforecast', statsforecast.__version__, '| pandas', pandas.__version__)"
