"""A Prefect server on a fixed port, to be killed and started again: `prefect_server.py PORT HOME`."""

import sys
from pathlib import Path

import uvicorn
from prefect.server.api.server import create_app

from flows.embedded_server import prepare_database

if __name__ == "__main__":
    prepare_database(Path(sys.argv[2]))
    uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
